"""Events: what came in, what the rules made of it, and running new rules over an old one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from service.api.auth import Caller, WebParts
from service.api.event_replay import replay_event
from service.api.pagination import Cursor, Limit, page_response, parse_cursor
from service.dependencies import AppServices
from service.http.errors import ApiError
from service.jobs.records import EventRecord

router = APIRouter(tags=["events"])

SourceName = Annotated[
    str | None, Query(description="Needed only where two sources know the same id")
]


@router.get("/events")
async def page(
    _caller: Caller, web: WebParts, cursor: Cursor = None, limit: Limit = 50
) -> dict[str, Any]:
    """List events, newest first."""
    return page_response(await web.jobs.events(cursor=parse_cursor(cursor), limit=limit))


@router.post("/events/{event_id:path}/replay", status_code=202)
async def replay(
    event_id: str, _caller: Caller, web: WebParts, source: SourceName = None
) -> dict[str, Any]:
    """Run the rules that have no job for this event yet."""
    event = await _one(web, event_id, source)
    if event.status != "accepted":
        message = f"The event is {event.status}; rules never run for it."
        raise ApiError(409, "not_replayable", message)
    if event.source not in web.sources:
        message = "The event's source is no longer configured, so no rule listens to it."
        raise ApiError(409, "source_gone", message)
    body = await web.jobs.event_body(event.source, event.id)
    if body is None:
        raise ApiError(409, "body_gone", "The event's body is no longer kept.")
    jobs = await replay_event(web, event, body)
    return {"event_id": event.id, "jobs": jobs, "created": sorted(set(jobs) - set(event.jobs))}


@router.get("/events/{event_id:path}")
async def show(
    event_id: str, _caller: Caller, web: WebParts, source: SourceName = None
) -> dict[str, Any]:
    """Show one event, with its body while that is kept."""
    event = await _one(web, event_id, source)
    body = await web.jobs.event_body(event.source, event.id)
    text = None if body is None else body.decode("utf-8", "backslashreplace")
    return {**event.public(), "body": text}


async def _one(web: AppServices, event_id: str, source: str | None) -> EventRecord:
    named = await web.jobs.events_with_id(event_id)
    found = [event for event in named if source is None or event.source == source]
    if not found:
        raise ApiError(404, "unknown_event", "No such event is known (any more).")
    if len(found) > 1:
        raise ApiError(
            409,
            "ambiguous_event",
            "Several sources know this id; add ?source=NAME.",
            sources=[event.source for event in found],
        )
    return found[0]
