"""Encryption at rest: keys derived from `SECRET_KEY`, and values bound to their places."""
