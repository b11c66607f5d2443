"""Durations as people write them: `90s`, `5m`, `1h30m`, `2d`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

MAX_DURATION_MS: Final = 365 * 24 * 3600 * 1000

_UNITS_MS: Final = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000}
# Nine digits exceed the limit in any unit, and keep `int()` away from hostile lengths.
_SHAPE: Final = re.compile(
    r"(?:(?P<d>[0-9]{1,9})d)?(?:(?P<h>[0-9]{1,9})h)?(?:(?P<m>[0-9]{1,9})m)?(?:(?P<s>[0-9]{1,9})s)?"
)


@lru_cache(maxsize=256)  # most rules always give the same duration
def parse_duration_ms(text: str) -> int:
    """Parse a duration.

    Parameters:
      text: Whole numbers with units, largest first: days, hours, minutes, seconds.

    Returns:
      Milliseconds, from 0 to 365 days.

    Raises:
      ValueError: It is not a duration, or too long; the message does not repeat the text.
    """
    compact = text.strip()
    match = _SHAPE.fullmatch(compact)
    if not compact or match is None:
        raise ValueError("not a duration; write it like 90s, 5m, 1h30m or 2d")
    total = sum(int(match[unit] or 0) * size for unit, size in _UNITS_MS.items())
    if total > MAX_DURATION_MS:
        raise ValueError("a duration is at most 365d")
    return total


def format_duration_ms(duration_ms: int) -> str:
    """Format a duration so that `parse_duration_ms` can read it.

    Parameters:
      duration_ms: Milliseconds, not negative; fractions of a second are dropped.

    Returns:
      For example `1h30m`; `0s` for nothing.
    """
    parts = []
    for unit, size in _UNITS_MS.items():
        count, duration_ms = divmod(duration_ms, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
