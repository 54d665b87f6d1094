"""Every channel in: webhooks, SMTP and gRPC to one log; intake for integrators; delivery to providers."""
