"""What is measured: event loop lag, process reports, the Prometheus page."""
