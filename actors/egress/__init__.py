"""Connections to customers' servers: checked addresses, bounded responses, limits by origin."""
