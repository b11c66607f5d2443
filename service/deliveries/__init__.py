"""Callbacks: where they go, when they are retried, and the record of every attempt."""
