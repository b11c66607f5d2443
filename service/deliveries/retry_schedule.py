"""When a callback is retried, and when it is given up.

Pure: the caller supplies the time and the random number.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE

#: The delay before each attempt: twelve attempts over about 76 hours.
DELAYS_SECONDS: Final = (
    0,
    5,
    30,
    2 * _MINUTE,
    10 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    24 * _HOUR,
)
MAX_ATTEMPTS: Final = len(DELAYS_SECONDS)
MAX_JITTER: Final = 0.2
MAX_RETRY_AFTER_MS: Final = 6 * _HOUR * 1000
HARD_STOP_MS: Final = 96 * _HOUR * 1000

#: The longest HTTP-date has 33 characters; much longer values are neither dates nor numbers.
_MAX_HEADER_CHARACTERS: Final = 64


def next_delay_ms(attempt: int, *, retry_after_ms: int | None, jitter: float) -> int | None:
    """The delay before the next attempt.

    Parameters:
      attempt: Attempts made so far, 0 before the first.
      retry_after_ms: The last response's `Retry-After`; more than six hours counts as six.
      jitter: A random number in [0, 1): lengthens the delay by up to 20 %, never shortens it.

    Returns:
      Milliseconds from now; None if no attempt is left.

    Raises:
      ValueError: `attempt` is negative or `jitter` is outside [0, 1).
    """
    if attempt < 0 or not 0 <= jitter < 1:
        raise ValueError("attempt counts from 0, and jitter must be in [0, 1)")
    if attempt >= MAX_ATTEMPTS:
        return None
    requested_ms = min(retry_after_ms or 0, MAX_RETRY_AFTER_MS)
    base_ms = max(DELAYS_SECONDS[attempt] * 1000, requested_ms)
    return base_ms + math.floor(base_ms * MAX_JITTER * jitter)


def exhausted(first_at_ms: int, now_ms: int) -> bool:
    """Whether the hard stop of 96 hours is reached, so that no attempt may begin.

    Parameters:
      first_at_ms: When the first attempt began, Unix milliseconds.
      now_ms: When the next attempt would begin, Unix milliseconds.
    """
    return now_ms - first_at_ms >= HARD_STOP_MS


def parse_retry_after(value: str, now: float) -> int | None:
    """Parse a `Retry-After` header (RFC 9110, section 10.2.3); its value is not trusted.

    Parameters:
      value: Seconds, or an HTTP-date.
      now: The current time, Unix seconds.

    Returns:
      Milliseconds from `now`, 0 to six hours; None if the value has neither form.
    """
    text = value.strip()
    if not text or len(text) > _MAX_HEADER_CHARACTERS:
        return None
    seconds = _seconds(text)
    if seconds is None:
        seconds = _seconds_until_date(text, now)
    return None if seconds is None else _bounded_ms(seconds)


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() else None


def _seconds_until_date(text: str, now: float) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        return _as_utc(moment).timestamp() - now
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _as_utc(moment: datetime) -> datetime:
    # Dates in asctime format name no zone; HTTP dates are always in UTC.
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _bounded_ms(seconds: float) -> int:
    return math.ceil(min(max(seconds * 1000, 0), MAX_RETRY_AFTER_MS))
