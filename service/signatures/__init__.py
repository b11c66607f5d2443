"""Signatures: of webhooks, which are verified, and of callbacks, which are signed."""
