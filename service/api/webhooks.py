"""Webhooks: verify the raw body, run the rules, record everything in one step, respond.

Nothing here waits on Instagram or on a customer's server. A delivery without a valid signature is
rejected and leaves no trace. An authentic but unusable one is quarantined and answered 200, since a
retry would send the same bytes. A fault of this service is answered 503 (`store_errors.py`), so
that the sender retries.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, ParamSpec, TypeVar

import orjson
from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from service.api import webhook_openapi
from service.dependencies import AppServices, get_services
from service.events import parsing
from service.events.rules import RuleResult
from service.events.sources import ResolvedSource
from service.events.strict_json import InvalidEvent
from service.http.client_address import client_address
from service.http.errors import EarlyErrorResponse, error_response
from service.http.request_body import BodyRejected, read_body
from service.jobs.ledger import QuarantinedEvent
from service.jobs.replies import Acceptance
from service.logging.context import bind_ids
from service.logging.setup import get_logger
from service.signatures.secret_readings import Reading
from service.signatures.verify import Headers, SignatureRejected, verify

router = APIRouter(tags=["webhooks"])

_log = get_logger(__name__)

RETRY_AFTER_SECONDS: Final = 30

#: Events are a few KB; parsing more than this takes milliseconds, so it runs in a thread.
INLINE_BYTES: Final = 32 * 1024

P = ParamSpec("P")
T = TypeVar("T")


@router.post(
    "/webhooks/{source}",
    operation_id="receive_webhook",
    status_code=202,
    response_class=Response,
    responses=webhook_openapi.RESPONSES,
    openapi_extra=webhook_openapi.REQUEST,
)
@router.post("/webhooks/{source}/", include_in_schema=False)
async def receive_webhook(source: str, request: Request) -> Response:
    """Receive an event: the raw body, signed according to the source's scheme."""
    return await handle(get_services(request), source, request.scope, request.receive)


async def handle(services: AppServices, source: str, scope: Scope, receive: Receive) -> Response:
    """Handle a webhook; called by the route and by `webhook_fast_path.py`.

    Parameters:
      services: The services of the process.
      source: The source's name in the path.
      scope: The request's ASGI scope.
      receive: The ASGI receive callable; nothing of the body has been read yet.
    """
    resolved, seconds = services.sources.get(source), services.settings.body_seconds
    if resolved is None:
        _log_refused(services, scope, "unknown", "unknown_source")
        return EarlyErrorResponse(404, "unknown_source", "No such source is configured.", seconds)
    if not resolved.secrets:
        _log_refused(services, scope, source, "source_without_secret")
        message = "This source has no signing secret yet: set one of its `secrets`."
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return EarlyErrorResponse(503, "source_without_secret", message, seconds, headers)
    try:
        body = await read_body(
            scope, receive, services.settings.max_body_bytes, services.body_timeout
        )
    except BodyRejected as error:
        _log_refused(services, scope, source, error.code)
        return EarlyErrorResponse(error.status, error.code, error.message, seconds)
    except ClientDisconnect:
        return Response(status_code=400)
    return await _process(services, resolved, scope, body)


async def _process(
    services: AppServices, source: ResolvedSource, scope: Scope, body: bytes
) -> Response:
    headers: Headers = scope["headers"]
    try:
        reading = verify(source.scheme, body, headers, source.secrets, time.time())
    except SignatureRejected as error:
        services.reporter.count("event", source.name, "refused")
        _log_refused(services, scope, source.name, error.reason)
        return error_response(
            400, "invalid_signature", "The signature is invalid: check the source's signing secret."
        )
    if reading is not None:
        _log_reading(source.name, reading)
    try:
        event = await _run_off_loop(
            body, parsing.parse, source.scheme, body, headers, source.type_path
        )
    except InvalidEvent as error:
        return await _quarantine(services, source, body, error.reason)
    challenge = parsing.slack_challenge(event.body) if source.scheme == "slack" else None
    if challenge is not None:
        return _WebhookResponse({"challenge": challenge}, 200)
    return await _accept(services, source, event, body)


async def _accept(
    services: AppServices, source: ResolvedSource, event: parsing.ParsedEvent, body: bytes
) -> Response:
    bind_ids(event_id=event.id, source=source.name)
    if source.livemode is not None and event.livemode is not source.livemode:
        accepted = await services.ledger.accept(
            source.name,
            event,
            [],
            body=body,
            status="ignored",
            recognition=event.recognition,
        )
        _log.warning("event ignored: livemode mismatch", type=event.type)
        return _response(source, event, accepted)
    plan = await _run_off_loop(body, services.rules.plan, source.name, event)
    accepted = await services.ledger.accept(
        source.name,
        event,
        plan.drafts,
        body=body,
        notes=plan.notes(),
        recognition=event.recognition,
    )
    _log_event(event, accepted, plan.results)
    return _response(source, event, accepted)


async def _run_off_loop(body: bytes, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Process a large body in a thread, so that the event loop is not blocked."""
    if len(body) <= INLINE_BYTES:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)


async def _quarantine(
    services: AppServices, source: ResolvedSource, body: bytes, reason: str
) -> Response:
    quarantined = QuarantinedEvent.of(body, reason)
    accepted = await services.ledger.accept(
        source.name, quarantined, [], body=body, status="quarantined"
    )
    _log.warning("event quarantined", source=source.name, reason=reason, stored_as=quarantined.id)
    duplicate = accepted.outcome == "duplicate"
    content: dict[str, Any] = {
        "event_id": None,
        "quarantined": True,
        "duplicate": duplicate,
        "jobs": [],
    }
    return _WebhookResponse(content, 200)


def _log_event(
    event: parsing.ParsedEvent, accepted: Acceptance, results: Sequence[RuleResult]
) -> None:
    if accepted.outcome == "conflict":
        _log.error("event id reused with different data", stored_as=accepted.event_id)
        return
    for result in results:
        if result.outcome == "when_error":
            _log.warning("rule evaluation failed", rule=result.rule, error=result.message)
    _log.info("event received", type=event.type, outcome=accepted.outcome, job_ids=accepted.jobs)


def _log_refused(services: AppServices, scope: Scope, source: str, reason: str) -> None:
    """Log a webhook that leaves no trace, by whoever sent it: a bounded number of lines.

    Parameters:
      source: A configured name, or a word for all others.
      reason: One of the words of this service.
    """
    services.refused_webhooks.add(client_address(scope), source=source, reason=reason)


@functools.cache
def _log_reading(source: str, reading: Reading) -> None:
    """Say once that a source's secret is not what the scheme specifies."""
    _log.warning(
        "webhook secret read in another way than specified", source=source, read_as=reading
    )


def _response(source: ResolvedSource, event: parsing.ParsedEvent, accepted: Acceptance) -> Response:
    created = accepted.outcome == "accepted" and bool(accepted.jobs)
    # Slack asks for 200 where a person waits: interactions and commands, which come as forms
    # (https://docs.slack.dev/interactivity/implementing-slash-commands).
    status = 202 if created and not (event.is_form and source.scheme == "slack") else 200
    content: dict[str, Any] = {
        "event_id": accepted.event_id,
        "duplicate": accepted.outcome == "duplicate",
        "jobs": accepted.jobs,
    }
    if accepted.outcome == "conflict":
        content["conflict"] = True
    if source.scheme == "slack" and event.type == "view_submission":
        # Slack closes a modal on an empty answer or on this one
        # (guides/modals of slackapi/java-slack-sdk).
        content["response_action"] = "clear"
    return _WebhookResponse(content, status)


class _WebhookResponse(Response):
    """A JSON response with its headers built by hand, which is faster than Starlette's."""

    def __init__(self, content: Mapping[str, Any], status: int) -> None:
        self.status_code = status
        self.body = orjson.dumps(content)
        self.background = None
        self.raw_headers = [
            (b"content-length", b"%d" % len(self.body)),
            (b"content-type", b"application/json"),
        ]
