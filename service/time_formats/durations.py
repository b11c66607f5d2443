"""Spans of time as people write them: `90s`, `5m`, `1h30m`, `2d`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

MAX_DURATION_MS: Final = 365 * 24 * 3600 * 1000

_UNITS_MS: Final = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000}
# Nine digits are far beyond the limit in any unit, and keep `int()` away from hostile lengths.
_SHAPE: Final = re.compile(
    r"(?:(?P<d>[0-9]{1,9})d)?(?:(?P<h>[0-9]{1,9})h)?(?:(?P<m>[0-9]{1,9})m)?(?:(?P<s>[0-9]{1,9})s)?"
)


@lru_cache(maxsize=256)  # a rule's is nearly always the same
def parse_duration_ms(text: str) -> int:
    """Read a span of time.

    Parameters:
      text: Whole numbers with their units, largest first: days, hours, minutes, seconds.

    Returns:
      Milliseconds, from 0 to 365 days.

    Raises:
      ValueError: It is not a span of time or too long; the message never repeats the text.
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
    """Write a span of time the way `parse_duration_ms` reads it.

    Parameters:
      duration_ms: Milliseconds, not negative; parts of a second are dropped.

    Returns:
      For example `1h30m`; `0s` for nothing.
    """
    parts = []
    for unit, size in _UNITS_MS.items():
        count, duration_ms = divmod(duration_ms, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
