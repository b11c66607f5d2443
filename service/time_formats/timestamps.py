"""Moments as the API writes them (RFC 3339)."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(ms: int) -> str | None:
    """Format a moment.

    Parameters:
      ms: Unix time in milliseconds; 0 stands for a moment that has not come.

    Returns:
      For example `2026-01-31T09:30:00.250Z`, always in UTC; None for 0.
    """
    if not ms:
        return None
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
