"""Deliveries: one attempt at a callback, and what is recorded of it."""
