"""Live queue depth and waits, from the conversations log, with Faust."""
