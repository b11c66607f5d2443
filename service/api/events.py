"""Events: the list, one event with its jobs, and replay."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query

from service.api.auth import NarrowedJobsCaller, NarrowedReadCaller, Services
from service.api.bindings import own_events, own_job_ids, own_page
from service.api.callers import Caller
from service.api.list_filters import Created, NameFilter, Separate
from service.api.models.answer import shown_as
from service.api.models.events import EventDetail, EventPage, EventReplay
from service.api.pagination import Cursor, Limit, page_response, parse_cursor
from service.api.record_versions import newer_record
from service.dependencies import AppServices
from service.encryption.cipher import Unreadable
from service.events.event_filter import EventFilter, EventOutcome, EventStatus
from service.http.errors import ApiError
from service.jobs.records import EventRecord

router = APIRouter(tags=["events"])

BODY_UNREADABLE: Final = "body_unreadable"
_UNREADABLE_MESSAGE: Final = (
    "The event's body cannot be decrypted: restore the SECRET_KEY that it was stored with."
)

_PROBLEMS: Final = {
    "source_gone": "The event's source is no longer configured, so no rule applies to it.",
    "body_gone": "The event's body is no longer kept.",
    BODY_UNREADABLE: _UNREADABLE_MESSAGE,
}

SourceName = Annotated[
    str | None,
    Query(description="The event's source; needed only if two sources have an event of this id"),
]


async def _event_filter(
    created: Created,
    source: Annotated[
        NameFilter | None, Query(description="Name of the source that sent it")
    ] = None,
    event_type: Annotated[
        NameFilter | None,
        Query(alias="type", description="Its type; `*` and `?` match as in rules"),
    ] = None,
    status: Annotated[
        list[Annotated[EventStatus, Separate]] | None,
        Query(description="Its status; repeat it for one of several"),
    ] = None,
    rule: Annotated[NameFilter | None, Query(description="Name of a rule that was for it")] = None,
    outcome: Annotated[
        EventOutcome | None,
        Query(description="What that rule, or else any, says of it; or that none made a job"),
    ] = None,
) -> EventFilter:
    return EventFilter(
        source=source,
        type=event_type,
        statuses=tuple(dict.fromkeys(status or ())),
        rule=rule,
        outcome=outcome,
        created_since_ms=created.since_ms,
        created_until_ms=created.until_ms,
    )


_UNKNOWN: Final = {"description": "There is no such event (`unknown_event`)"}
_AMBIGUOUS: Final = "Several sources have an event of this id (`ambiguous_event`)"


@router.get("/events", operation_id="list_events", responses={200: shown_as(EventPage)})
async def list_events(
    caller: NarrowedReadCaller,
    services: Services,
    event_filter: Annotated[EventFilter, Depends(_event_filter)],
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """List events, newest first; a page may be short although `next` goes on."""
    read = partial(services.events.page, event_filter, limit=limit)
    own = partial(own_events, services, caller)
    return page_response(await own_page(caller, read, own, parse_cursor(cursor)))


@router.post(
    "/events/{event_id:path}/replay",
    operation_id="replay_event",
    status_code=202,
    responses={
        202: shown_as(EventReplay),
        404: _UNKNOWN,
        409: {
            "description": f"No rule can run for it (`not_replayable`, `source_gone`, `body_gone`,"
            f" `body_unreadable`, `newer_release`), or: {_AMBIGUOUS}"
        },
    },
)
async def replay_event(
    event_id: str, caller: NarrowedJobsCaller, services: Services, source: SourceName = None
) -> dict[str, Any]:
    """Run the rules that have no job for this event yet, or whose job was rejected at creation."""
    event = await _find_event(services, caller, event_id, source)
    others = frozenset(
        rule.name for rule in services.config.rules if not caller.key.sees(rule.account)
    )
    replay = await services.replays.plan(event, skip=others)
    if replay.problem:
        raise _not_replayed(replay.problem, event)
    added = await services.ledger.replay(
        event.source, event.id, replay.drafts, replay.notes, **caller._asdict()
    )
    jobs, created, replaced = added or (list(event.jobs), [], [])
    shown = await own_job_ids(services, caller, jobs)
    return {"event_id": event.id, "jobs": shown, "created": created, "replaced": replaced}


@router.get(
    "/events/{event_id:path}",
    operation_id="get_event",
    responses={200: shown_as(EventDetail), 404: _UNKNOWN, 409: {"description": _AMBIGUOUS}},
)
async def get_event(
    event_id: str, caller: NarrowedReadCaller, services: Services, source: SourceName = None
) -> dict[str, Any]:
    """Show one event, with its body while it is kept."""
    event = await _find_event(services, caller, event_id, source)
    [shown] = await own_events(services, caller, [event.public()])
    try:
        body = await services.jobs.event_body(event.source, event.id)
    except Unreadable:
        problem = {"code": BODY_UNREADABLE, "message": _UNREADABLE_MESSAGE}
        return {**shown, "body": None, "body_error": problem}
    text = None if body is None else body.decode("utf-8", "backslashreplace")
    return {**shown, "body": text}


def _not_replayed(problem: str, event: EventRecord) -> ApiError:
    if problem == "newer_release":
        return newer_record("event", event.version)
    if problem == "not_replayable":
        message = f"The event is {event.status}, so no rules run for it."
        return ApiError(409, problem, message)
    return ApiError(409, problem, _PROBLEMS[problem])


async def _find_event(
    services: AppServices, caller: Caller, event_id: str, source: str | None
) -> EventRecord:
    events = await services.jobs.events_with_id(event_id)
    shown = await own_events(services, caller, [event.public() for event in events])
    sources = {each["source"] for each in shown if source in (None, each["source"])}
    found = [event for event in events if event.source in sources]
    if not found:
        raise ApiError(404, "unknown_event", "There is no such event, or it is no longer kept.")
    if len(found) > 1:
        raise ApiError(
            409,
            "ambiguous_event",
            "Several sources have an event of this id: add ?source=NAME.",
            sources=[event.source for event in found],
        )
    return found[0]
