"""The door: verify the raw bytes, run the rules, record everything in one step, answer.

Nothing here waits on Instagram or on a customer's server. What is not authentic is refused and
leaves no trace; what is authentic but useless is kept and answered 200, since a retry would send
the same bytes; what is our fault is answered 503 (see `api/errors.py`), so that the sender retries.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, ParamSpec, TypeVar

import orjson
from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope
from structlog.contextvars import bind_contextvars

from service.dependencies import AppServices, get_services
from service.events import parsing
from service.events.rules import RuleResult
from service.events.sources import ResolvedSource
from service.events.strict_json import InvalidEvent
from service.http.errors import EarlyErrorResponse, error_response
from service.http.request_body import BodyRejected, read_body
from service.jobs.ledger import QuarantinedEvent
from service.jobs.replies import Acceptance
from service.logging.setup import get_logger
from service.signatures.verify import Headers, SignatureRejected, verify

router = APIRouter(tags=["webhooks"])

_log = get_logger(__name__)

RETRY_AFTER_SECONDS: Final = 30

#: Events are a few KB; more than this takes milliseconds to read.
INLINE_BYTES: Final = 32 * 1024

P = ParamSpec("P")
T = TypeVar("T")

_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "Known already, no rule matched, or kept for a person to look at"},
    202: {"description": "Recorded, with its jobs"},
    400: {"description": "The signature does not verify"},
    404: {"description": "No such source"},
    408: {"description": "The body came too slowly"},
    413: {"description": "The body is too large"},
    415: {"description": "The body is encoded"},
    503: {"description": "Not recorded; send it again"},
}


@router.post("/webhooks/{source}", status_code=202, responses=_RESPONSES)
@router.post("/webhooks/{source}/", include_in_schema=False)
async def receive(source: str, request: Request) -> Response:
    """Take an event from a sender: the raw body, signed by the source's scheme."""
    return await handle(get_services(request), source, request.scope, request.receive)


async def handle(web: AppServices, source: str, scope: Scope, receive: Receive) -> Response:
    """Take an event, whichever way the request came (`door.py`).

    Parameters:
      web: The process' parts.
      source: The name in the path.
      scope: The request's.
      receive: Where its body comes from.
    """
    known, seconds = web.sources.get(source), web.settings.body_seconds
    if known is None:
        return EarlyErrorResponse(404, "unknown_source", "No such source is configured.", seconds)
    if not known.secrets:
        _log.error("webhook rejected: source has no secret", source=source)
        message, later = "This source has no signing secret yet.", str(RETRY_AFTER_SECONDS)
        return EarlyErrorResponse(
            503, "source_without_secret", message, seconds, headers={"Retry-After": later}
        )
    try:
        body = await read_body(scope, receive, web.settings.max_body_bytes, web.body_timeout)
    except BodyRejected as refused:
        return EarlyErrorResponse(refused.status, refused.code, refused.message, seconds)
    except ClientDisconnect:
        return Response(status_code=400)
    return await _process(web, known, scope["headers"], body)


async def _process(
    web: AppServices, source: ResolvedSource, headers: Headers, body: bytes
) -> Response:
    try:
        verify(source.scheme, body, headers, source.secrets, time.time())
    except SignatureRejected as refused:
        web.reporter.count("event", source.name, "refused")
        _log.warning("webhook rejected", source=source.name, reason=refused.reason)
        return error_response(400, "invalid_signature", "The signature does not verify.")
    try:
        event = await _run_off_loop(body, parsing.parse, source.scheme, body, headers)
    except InvalidEvent as unusable:
        return await _quarantine(web, source, body, unusable.reason)
    challenge = parsing.slack_challenge(event.body) if source.scheme == "slack" else None
    if challenge is not None:
        return _WebhookResponse({"challenge": challenge}, 200)
    return await _accept(web, source, event, body)


async def _accept(
    web: AppServices, source: ResolvedSource, event: parsing.ParsedEvent, body: bytes
) -> Response:
    bind_contextvars(event_id=event.id, source=source.name)
    if source.livemode is not None and event.livemode is not source.livemode:
        accepted = await web.ledger.accept(source.name, event, [], body=body, status="ignored")
        _log.warning("event ignored: livemode mismatch", type=event.type)
        return _response(accepted)
    plan = await _run_off_loop(body, web.rules.plan, source.name, event)
    accepted = await web.ledger.accept(
        source.name,
        event,
        plan.drafts,
        body=body,
        notes=[note.as_dict() for note in plan.notes],
    )
    _report(event, accepted, plan.notes)
    return _response(accepted)


async def _run_off_loop(body: bytes, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Work on a large body in a thread: the loop must not wait for it."""
    if len(body) <= INLINE_BYTES:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)


async def _quarantine(
    web: AppServices, source: ResolvedSource, body: bytes, reason: str
) -> Response:
    kept = QuarantinedEvent.of(body, reason)
    accepted = await web.ledger.accept(source.name, kept, [], body=body, status="quarantined")
    _log.warning("event quarantined", source=source.name, reason=reason, stored_as=kept.id)
    known = accepted.outcome == "duplicate"
    content: dict[str, Any] = {
        "event_id": None,
        "quarantined": True,
        "duplicate": known,
        "jobs": [],
    }
    return _WebhookResponse(content, 200)


def _report(event: parsing.ParsedEvent, accepted: Acceptance, notes: Sequence[RuleResult]) -> None:
    if accepted.outcome == "conflict":
        _log.error("event id reused with different data", stored_as=accepted.event_id)
        return
    for note in notes:
        if note.outcome == "when_error":
            _log.warning("rule evaluation failed", rule=note.rule, error=note.message)
    _log.info("event received", type=event.type, outcome=accepted.outcome, job_ids=accepted.jobs)


def _response(accepted: Acceptance) -> Response:
    fresh = accepted.outcome == "accepted" and bool(accepted.jobs)
    content: dict[str, Any] = {
        "event_id": accepted.event_id,
        "duplicate": accepted.outcome == "duplicate",
        "jobs": accepted.jobs,
    }
    if accepted.outcome == "conflict":
        content["conflict"] = True
    return _WebhookResponse(content, 202 if fresh else 200)


class _WebhookResponse(Response):
    """A JSON answer with the headers it needs, made without asking which."""

    def __init__(self, content: Mapping[str, Any], status: int) -> None:
        self.status_code = status
        self.body = orjson.dumps(content)
        self.background = None
        self.raw_headers = [
            (b"content-length", b"%d" % len(self.body)),
            (b"content-type", b"application/json"),
        ]
