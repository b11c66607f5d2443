"""Connections to Redis: clients, the pool, batches."""
