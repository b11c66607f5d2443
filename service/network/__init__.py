"""Which URLs and IP addresses the service may connect to."""
