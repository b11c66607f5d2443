"""Limits of JSON documents that callers send and that are stored as they are."""
