"""Connections to Redis: clients, the pool, batching."""
