"""One history per customer, projected from the conversations log."""
