"""Numbers of what went out and what failed, from counters that are kept by the hour."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query

from service.api.auth import Services, UnmaskedReadCaller
from service.api.models.answer import shown_as
from service.api.models.stats import Stats
from service.api.schemas import invalid
from service.stats.period import MAX_DAYS, InvalidPeriod, Period
from service.stats.summary import GroupBy, summarize

router = APIRouter(tags=["stats"])

_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: shown_as(Stats),
    422: {"description": "A parameter is invalid; the message names it (`invalid_request`)"},
}

Start = Annotated[
    str | None,
    Query(
        alias="from",
        description="A date (UTC) or an RFC 3339 time; the hour that it is in counts. By default a"
        f" week before the end; at most {MAX_DAYS} days ago",
        examples=["2026-11-01"],
    ),
]
End = Annotated[
    str | None,
    Query(
        alias="to",
        description="A date, of which the whole day counts, or an RFC 3339 time, before which is"
        " counted up to the end of its hour. By default now",
        examples=["2026-11-30"],
    ),
]


@router.get(
    "/stats",
    operation_id="get_stats",
    summary="Count what was sent, what failed and why",
    response_model=None,
    responses=_RESPONSES,
)
async def get_stats(
    caller: UnmaskedReadCaller,
    services: Services,
    start: Start = None,
    end: End = None,
    by: Annotated[GroupBy, Query(description="What each item is about")] = "rule",
) -> dict[str, Any]:
    """Count how jobs and callbacks ended in a period of whole hours (UTC).

    A key that is bound to accounts gets the numbers of those, and none of callbacks.
    """
    try:
        period = Period.of(start, end, await services.stats.now_ms())
    except InvalidPeriod as error:
        raise invalid(error.field, error.message) from None
    summary = await summarize(services.stats, period, caller.key.accounts)
    # A thousand groups take a while.
    return await asyncio.to_thread(summary.public, by)
