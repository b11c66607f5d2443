"""Why a text identifies nobody and nothing on Instagram."""

from __future__ import annotations


class InvalidIdentifier(ValueError):
    """The text identifies no recipient or post; the message says why, without the text."""
