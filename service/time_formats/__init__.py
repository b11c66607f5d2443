"""Durations and timestamps as people and APIs write them."""
