"""URLs and IP addresses that may be dialled."""
