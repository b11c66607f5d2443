"""The only way out to a customer's server: checked addresses, bounded answers."""
