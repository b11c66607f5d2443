"""Sends callbacks: claim, sign, post, record."""
