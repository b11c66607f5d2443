"""Attempts at jobs: claim, intent, write or read, finish."""
