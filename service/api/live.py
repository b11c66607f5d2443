"""Following jobs live: server-sent events, and the same over a WebSocket."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query, Response, WebSocket

from service.api.auth import Caller, SocketCaller, WebParts
from service.api.event_streams import EventStreamResponse, stream_to_websocket
from service.api.jobs import unknown_job
from service.dependencies import AppServices
from service.http.errors import ApiError
from service.jobs.timeline import JobHistory, LiveUpdate, dumps, timeline_entry
from service.live.subscriptions import FeedSubscription, JobSubscription

router = APIRouter(tags=["live"])

#: More would take the place of webhooks: connections are files, and each has its buffers.
MAX_SUBSCRIBERS: Final = 4000

_NUMBER: Final = r"^[0-9]{0,9}$"
_POSITION: Final = r"^([0-9]{1,15}-[0-9]{1,15})?$"
_RESUME: Final = "The id of the last event received: what came after it is sent"
_AFTER: Final = "The same for those who cannot set the header; the header goes first"

_JOB: Final = "job_jegxacjdmuhgbwsjcg2fxbjjo5"
_BORN: Final = {"id": _JOB, **timeline_entry(1795170408509, "queued", "intake", "")}
_DONE: Final = {"id": _JOB, **timeline_entry(1795170410441, "succeeded", "vm:13632:84a436:3", "")}
_OUTCOME: Final = {"result": {"message_id": "31000000000000000000000000000000001"}, "error": None}


def _example(*messages: LiveUpdate) -> str:
    return "retry: 1000\n\n" + b"".join(message.as_event for message in messages).decode()


_JOB_EXAMPLE: Final = _example(
    LiveUpdate("change", "1", dumps(_BORN)), LiveUpdate("end", "4", dumps(_DONE | _OUTCOME))
)
_ALL_EXAMPLE: Final = _example(
    LiveUpdate("ready", "1795170408101-0", dumps({})),
    LiveUpdate("change", "1795170408509-0", dumps(_BORN)),
)


def _stream_of(text: str, example: str) -> dict[str, Any]:
    content = {"text/event-stream": {"schema": {"type": "string"}, "example": example}}
    return {"content": content, "description": text}


_JOB_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: _stream_of("Its changes so far, then as they come; over with `end`", _JOB_EXAMPLE),
    204: {"description": "It has ended, and Last-Event-ID is its end: do not come again"},
    404: {"description": "No such job"},
    503: {"description": "This process has too many live subscribers"},
}
_ALL_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: _stream_of("Every job's changes, from now or from Last-Event-ID on", _ALL_EXAMPLE),
    503: {"description": "This process has too many live subscribers"},
}


def _number(
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", pattern=_NUMBER, description=_RESUME)
    ] = None,
    after: Annotated[str | None, Query(pattern=_NUMBER, description=_AFTER)] = None,
) -> int | None:
    given = last_event_id or after
    return int(given) if given else None


def _position(
    last_event_id: Annotated[
        str | None, Header(alias="Last-Event-ID", pattern=_POSITION, description=_RESUME)
    ] = None,
    after: Annotated[str | None, Query(pattern=_POSITION, description=_AFTER)] = None,
) -> str | None:
    return last_event_id or after or None


Number = Annotated[int | None, Depends(_number)]
Position = Annotated[str | None, Depends(_position)]


@router.get("/jobs/{job_id}/live", response_class=Response, responses=_JOB_RESPONSES)
async def follow_job(job_id: str, _caller: Caller, web: WebParts, after: Number) -> Response:
    """Follow one job to its end. A WebSocket on this path is told the same, a JSON object each."""
    history = await _check_job(web, job_id)
    if history.record.ended and after == history.last:
        return Response(status_code=204)
    return EventStreamResponse(web.broadcaster, job_id, JobSubscription(web.jobs, job_id, after))


@router.get("/live", response_class=Response, responses=_ALL_RESPONSES)
async def follow_all(_caller: Caller, web: WebParts, after: Position) -> Response:
    """Follow all jobs. A WebSocket on this path is told the same, a JSON object each."""
    _check_capacity(web)
    return EventStreamResponse(web.broadcaster, None, FeedSubscription(web.event_stream, after))


@router.websocket("/jobs/{job_id}/live")
async def job_socket(
    socket: WebSocket, job_id: str, _caller: SocketCaller, web: WebParts, after: Number
) -> None:
    """Follow one job to its end."""
    await _check_job(web, job_id)
    await stream_to_websocket(
        socket, web.broadcaster, job_id, JobSubscription(web.jobs, job_id, after)
    )


@router.websocket("/live")
async def all_socket(
    socket: WebSocket, _caller: SocketCaller, web: WebParts, after: Position
) -> None:
    """Follow all jobs."""
    _check_capacity(web)
    await stream_to_websocket(
        socket, web.broadcaster, None, FeedSubscription(web.event_stream, after)
    )


async def _check_job(web: AppServices, job_id: str) -> JobHistory:
    _check_capacity(web)
    history = await web.jobs.history(job_id)
    if history is None:
        raise unknown_job()
    return history


def _check_capacity(web: AppServices) -> None:
    if web.broadcaster.count >= MAX_SUBSCRIBERS:
        message = f"This process has {MAX_SUBSCRIBERS} live subscribers already. Try again later."
        raise ApiError(503, "too_many_subscribers", message)
