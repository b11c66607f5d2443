"""What the filters of lists have in common: names, several values, a range of time."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Final, NamedTuple

from fastapi import Depends, Query
from pydantic import BeforeValidator, Field

from service.api.schemas import Timestamp, invalid

#: A plus sign in a query is a space, unless it is written as %2B.
_SPACE_BEFORE_ZONE: Final = re.compile(r" (?=[0-9]{2}:[0-9]{2}$)")

#: A name or code to compare with; the longest are the types of events.
NameFilter = Annotated[str, Field(min_length=1, max_length=255)]


class TimeRange(NamedTuple):
    """From `since` up to, but without, `until`, Unix milliseconds; None for no limit."""

    since_ms: int | None
    until_ms: int | None


def _with_plus(time: object) -> object:
    return _SPACE_BEFORE_ZONE.sub("+", time) if isinstance(time, str) else time


def _check_separate(value: object) -> object:
    if isinstance(value, str) and "," in value:
        raise ValueError("takes one word: for several, repeat the parameter")
    return value


#: Checks one of several values, which are given by repeating the parameter.
Separate: Final = BeforeValidator(_check_separate)
#: A time in a query.
QueryTime = Annotated[Timestamp | None, BeforeValidator(_with_plus)]


async def _created(
    created_since: Annotated[
        QueryTime, Query(description="Created then or later (RFC 3339)")
    ] = None,
    created_until: Annotated[QueryTime, Query(description="Created before that (RFC 3339)")] = None,
) -> TimeRange:
    if created_since and created_until and created_since >= created_until:
        raise invalid("created_until", "must be later than created_since")
    return TimeRange(unix_ms(created_since), unix_ms(created_until))


def unix_ms(time: datetime | None) -> int | None:
    """Milliseconds, rounded up: the times of what is listed have no finer parts."""
    return None if time is None else -int(-time.timestamp() * 1000 // 1)


#: `created_since` and `created_until`.
Created = Annotated[TimeRange, Depends(_created)]
