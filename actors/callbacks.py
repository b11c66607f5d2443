"""One attempt at a callback: claim, sign, post, record."""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from actors.runtime import Runtime
from service.logs import get_logger
from service.outbound import signing
from service.outbound.deliveries import DeliveryClaim
from service.outbound.endpoints import Endpoint
from service.outbound.results import AttemptResult
from service.outbound.schedule import exhausted, next_delay_ms

#: How long a delivery waits for a worker that knows its callback (deploys overlap), or for us.
UNCHARGED_MS: Final = 30_000

_log = get_logger(__name__)


async def deliver(runtime: Runtime, delivery_id: str) -> None:
    """Attempt a delivery, if it is due.

    Parameters:
      runtime: The process' resources.
      delivery_id: From the wake-up.
    """
    owner, claimed_at = runtime.owner(), time.monotonic()
    claim = await runtime.deliveries.claim(delivery_id, owner)
    if claim is None:
        return
    structlog.contextvars.bind_contextvars(delivery_id=delivery_id, job_id=claim.job_id)
    with runtime.pulse.keep(delivery_id, owner, claim.fence, claimed_at):
        endpoint = runtime.duties.endpoints.get(claim.endpoint)
        if endpoint is None:
            await _record(runtime, claim, _unknown_endpoint())
            return
        try:
            result = await _post(runtime, claim, endpoint)
        except asyncio.CancelledError:
            await asyncio.shield(_record(runtime, claim, AttemptResult("uncharged", "handed_back")))
            raise
        except Exception as error:  # noqa: BLE001 - our fault, so never the endpoint's charge
            _log.error("a callback could not be attempted", exc_info=error)
            result = AttemptResult("uncharged", "internal_error")
        await _record(runtime, claim, result)


async def _post(runtime: Runtime, claim: DeliveryClaim, endpoint: Endpoint) -> AttemptResult:
    def signed() -> dict[str, str]:
        now = int(time.time())
        return signing.headers(endpoint.secrets, claim.id, now, claim.payload)

    return await runtime.exchange.post(endpoint.url, signed, claim.payload)


def _unknown_endpoint() -> AttemptResult:
    return AttemptResult("uncharged", "unknown_callback")


async def _record(runtime: Runtime, claim: DeliveryClaim, result: AttemptResult) -> None:
    to, after_ms = _next(claim, result, round(time.time() * 1000))
    counts = result.outcome != "uncharged"
    attempt = _shown(claim, result, counts=counts, after_ms=after_ms)
    await runtime.deliveries.record(claim, to, attempt, after_ms=after_ms, counts=counts)
    _log.info(
        "callback",
        callback=claim.endpoint,
        attempt=claim.attempts + counts,
        outcome=to,
        code=result.code,
        duration_ms=result.duration_ms,
    )


def _next(claim: DeliveryClaim, result: AttemptResult, now_ms: int) -> tuple[Any, int]:
    if result.outcome == "delivered":
        return "delivered", 0
    if result.outcome in ("gone", "final"):
        return "failed", 0
    if result.outcome == "uncharged" and not exhausted(claim.created_ms, now_ms):
        at_once = result.code == "handed_back"
        return "pending", 0 if at_once else UNCHARGED_MS
    delay = next_delay_ms(
        claim.attempts + 1, retry_after_ms=result.retry_after_ms, jitter=random.random()
    )
    if delay is None or exhausted(claim.created_ms, now_ms + delay):
        return "failed", 0
    return "pending", delay


def _shown(
    claim: DeliveryClaim, result: AttemptResult, *, counts: bool, after_ms: int
) -> dict[str, Any]:
    return {
        "number": claim.attempts + 1 if counts else None,
        "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "outcome": result.outcome,
        "code": result.code,
        "message": result.message,
        "status": result.status,
        "duration_ms": result.duration_ms,
        "body": result.body,
        "next_in_ms": after_ms or None,
    }
