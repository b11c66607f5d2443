"""The period that numbers are asked for: whole hours, UTC. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Self

from service.time_formats.timestamps import rfc3339

HOUR_MS: Final = 3_600_000
HOURS_PER_DAY: Final = 24
#: For how long the counters are kept (STATS_DAYS in lua/lib/stats.lua).
MAX_DAYS: Final = 400
DEFAULT_DAYS: Final = 7

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_FORM: Final = (
    "must be a date (2026-01-31, UTC) or an RFC 3339 time with its zone (2026-01-31T09:00:00Z;"
    " in a URL, write + as %2B)"
)


class InvalidPeriod(ValueError):
    """A period that cannot be asked for.

    Parameters:
      field: `from` or `to`.
      message: What is wrong with it.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


@dataclass(frozen=True)
class Period:
    """Whole hours, counted since 1970: from `first` on, and before `end`."""

    first: int
    end: int

    @classmethod
    def of(cls, start: str | None, end: str | None, now_ms: int) -> Self:
        """The hours that a period touches.

        Parameters:
          start: A date or an RFC 3339 time; None for a week before the end.
          end: The same, exclusive; a date's whole day is part of it. None for now.
          now_ms: Unix milliseconds.

        Raises:
          InvalidPeriod: A bound cannot be read, or the period is empty, longer than MAX_DAYS or
            older than what is kept.
        """
        next_hour = now_ms // HOUR_MS + 1
        end_hour = next_hour if end is None else _hour_after(_end(end))
        if start is None:
            period = cls(end_hour - DEFAULT_DAYS * HOURS_PER_DAY, end_hour)
        else:
            period = cls(_hour_of(_moment("from", start)), end_hour)
        period._check(next_hour)
        return period

    def _check(self, next_hour: int) -> None:
        longest = MAX_DAYS * HOURS_PER_DAY
        if self.first >= self.end:
            raise InvalidPeriod("from", "must be before `to`, which is now unless it is given")
        if self.first < next_hour - 1 - longest:
            message = f"must be within the last {MAX_DAYS} days: older numbers are not kept"
            raise InvalidPeriod("from", message)
        if self.end - self.first > longest + HOURS_PER_DAY:
            raise InvalidPeriod("to", f"must be at most {MAX_DAYS} days after `from`")

    @property
    def start_at(self) -> str:
        """When it begins, RFC 3339."""
        return _rfc3339(self.first)

    @property
    def end_at(self) -> str:
        """When it ends, RFC 3339."""
        return _rfc3339(self.end)

    def days(self) -> Iterator[date]:
        """The days that it touches."""
        for day in range(self.first // HOURS_PER_DAY, (self.end - 1) // HOURS_PER_DAY + 1):
            yield day_of(day * HOURS_PER_DAY)


def day_of(hour: int) -> date:
    """The day (UTC) of an hour."""
    return date(1970, 1, 1) + timedelta(days=hour // HOURS_PER_DAY)


def _rfc3339(hour: int) -> str:
    return rfc3339(hour * HOUR_MS) or ""


def _hour_of(moment: datetime) -> int:
    return int(moment.timestamp() * 1000) // HOUR_MS


def _hour_after(moment: datetime) -> int:
    return -(-int(moment.timestamp() * 1000) // HOUR_MS)


def _end(text: str) -> datetime:
    """The end of a date, or the moment that a text names."""
    moment = _moment("to", text)
    if not _DATE.fullmatch(text):
        return moment
    try:
        return moment + timedelta(days=1)
    except OverflowError:
        raise InvalidPeriod("to", _FORM) from None


def _moment(field: str, text: str) -> datetime:
    try:
        if _DATE.fullmatch(text):
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        if _TIME.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidPeriod(field, _FORM)
