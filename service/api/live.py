"""Live updates of jobs: server-sent events, and the same over a WebSocket."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query, Response, WebSocket

from service.api.auth import (
    NarrowedReadCaller,
    NarrowedSocketReadCaller,
    ReadCaller,
    Services,
    SocketReadCaller,
)
from service.api.bindings import unknown_job
from service.api.callers import Caller
from service.api.event_streams import EventStreamResponse, stream_to_websocket
from service.api.pagination import matching
from service.dependencies import AppServices
from service.http.errors import ApiError
from service.jobs.timeline import JobHistory, LiveUpdate, dumps, timeline_entry
from service.live.narrowed_subscription import NarrowedSubscription
from service.live.subscriptions import FeedSubscription, JobSubscription, Subscription

router = APIRouter(tags=["live"])

#: Each subscriber takes a file descriptor and buffers, which webhooks need as well.
MAX_SUBSCRIBERS: Final = 4000

_NOT_AN_ID: Final = (
    "is not the id of an event of this stream: send the last `id` received, or leave it out"
)
_NUMBER: Final = matching("[0-9]{0,9}", _NOT_AN_ID)
_POSITION: Final = matching("(?:[0-9]{1,15}-[0-9]{1,15})?", _NOT_AN_ID)
_LAST_EVENT_ID: Final = "The id of the last event received; the stream resumes after it"
_AFTER: Final = "Like Last-Event-ID, for clients that cannot set the header, which takes precedence"

_JOB_ID: Final = "job_jegxacjdmuhgbwsjcg2fxbjjo5"
_QUEUED: Final = {"id": _JOB_ID, **timeline_entry(1795170408509, "queued", "intake", "")}
_SUCCEEDED: Final = {
    "id": _JOB_ID,
    **timeline_entry(1795170410441, "succeeded", "vm:13632:84a436:3", ""),
}
_OUTCOME: Final = {"result": {"message_id": "31000000000000000000000000000000001"}, "error": None}


def _example(*messages: LiveUpdate) -> str:
    return "retry: 1000\n" + b"".join(message.as_event for message in messages).decode()


_JOB_EXAMPLE: Final = _example(
    LiveUpdate("change", "1", dumps(_QUEUED)), LiveUpdate("end", "4", dumps(_SUCCEEDED | _OUTCOME))
)
_ALL_EXAMPLE: Final = _example(
    LiveUpdate("ready", "1795170408101-0", dumps({})),
    LiveUpdate("change", "1795170408509-0", dumps(_QUEUED)),
)


def _stream_response(description: str, example: str) -> dict[str, Any]:
    content = {"text/event-stream": {"schema": {"type": "string"}, "example": example}}
    return {"content": content, "description": description}


_JOB_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: _stream_response(
        "The job's changes so far, then each new one; ends with the event `end`", _JOB_EXAMPLE
    ),
    204: {"description": "The job has ended and Last-Event-ID is its last event: do not reconnect"},
    404: {"description": "There is no such job"},
    429: {"description": "The key has too many subscribers"},
    503: {"description": "This process has too many subscribers"},
}
_ALL_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: _stream_response(
        "The changes of all jobs, from now on or after Last-Event-ID", _ALL_EXAMPLE
    ),
    429: {"description": "The key has too many subscribers"},
    503: {"description": "This process has too many subscribers"},
}


def _last_number(
    last_event_id: Annotated[
        str | None,
        Header(alias="Last-Event-ID", description=_LAST_EVENT_ID),
        _NUMBER,
    ] = None,
    after: Annotated[str | None, Query(description=_AFTER), _NUMBER] = None,
) -> int | None:
    number = last_event_id or after
    return int(number) if number else None


def _last_position(
    last_event_id: Annotated[
        str | None,
        Header(alias="Last-Event-ID", description=_LAST_EVENT_ID),
        _POSITION,
    ] = None,
    after: Annotated[str | None, Query(description=_AFTER), _POSITION] = None,
) -> str | None:
    return last_event_id or after or None


LastNumber = Annotated[int | None, Depends(_last_number)]
LastPosition = Annotated[str | None, Depends(_last_position)]


@router.get(
    "/jobs/{job_id}/live",
    operation_id="follow_job",
    response_class=Response,
    responses=_JOB_RESPONSES,
)
async def follow_job(
    job_id: str, caller: ReadCaller, services: Services, after: LastNumber
) -> Response:
    """Follow one job until it ends; a WebSocket on this path sends the updates as JSON objects."""
    history = await _check_job(services, job_id)
    if history.record.ended and after == history.last:
        return Response(status_code=204)
    return EventStreamResponse(
        services.broadcaster,
        services.subscriber_slots.take(caller.key_name),
        job_id,
        _narrow(services, caller, JobSubscription(services.jobs, job_id, after)),
    )


@router.get(
    "/live", operation_id="follow_all_jobs", response_class=Response, responses=_ALL_RESPONSES
)
async def follow_all_jobs(
    caller: NarrowedReadCaller, services: Services, after: LastPosition
) -> Response:
    """Follow all jobs; a WebSocket on this path sends the updates as JSON objects."""
    _check_capacity(services)
    return EventStreamResponse(
        services.broadcaster,
        services.subscriber_slots.take(caller.key_name),
        None,
        _narrow(services, caller, FeedSubscription(services.event_stream, after)),
    )


@router.websocket("/jobs/{job_id}/live")
async def follow_job_websocket(
    socket: WebSocket, job_id: str, caller: SocketReadCaller, services: Services, after: LastNumber
) -> None:
    await _check_job(services, job_id)
    subscription = _narrow(services, caller, JobSubscription(services.jobs, job_id, after))
    with services.subscriber_slots.take(caller.key_name):
        await stream_to_websocket(socket, services.broadcaster, job_id, subscription)


@router.websocket("/live")
async def follow_all_jobs_websocket(
    socket: WebSocket, caller: NarrowedSocketReadCaller, services: Services, after: LastPosition
) -> None:
    _check_capacity(services)
    subscription = _narrow(services, caller, FeedSubscription(services.event_stream, after))
    with services.subscriber_slots.take(caller.key_name):
        await stream_to_websocket(socket, services.broadcaster, None, subscription)


def _narrow(services: AppServices, caller: Caller, subscription: Subscription) -> Subscription:
    """Leave out what the caller may not see."""
    if caller.key.accounts is None and caller.sees_people:
        return subscription
    accounts = services.job_accounts
    masks = not caller.sees_people
    return NarrowedSubscription(subscription, caller.key, accounts, masks=masks)


async def _check_job(services: AppServices, job_id: str) -> JobHistory:
    _check_capacity(services)
    history = await services.jobs.history(job_id)
    if history is None:
        raise unknown_job()
    return history


def _check_capacity(services: AppServices) -> None:
    if services.broadcaster.count >= MAX_SUBSCRIBERS:
        message = (
            f"This process has {MAX_SUBSCRIBERS} live subscribers, the maximum. Try again later."
        )
        raise ApiError(503, "too_many_subscribers", message)
