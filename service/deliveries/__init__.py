"""Callbacks: their endpoints, their retry schedule, and the record of every attempt."""
