"""One attempt at a delivery: claim, sign, post, record.

When its origin is busy the delivery is deferred instead, so that it does not wait in a slot that
the callbacks of other origins need.
"""

from __future__ import annotations

import asyncio
import functools
import math
import random
import time
from datetime import UTC, datetime
from typing import Any, Final, Literal

from actors.runtime import Runtime
from service.deliveries.attempt_results import AttemptResult
from service.deliveries.endpoints import CallbackEndpoint
from service.deliveries.retry_schedule import is_past_hard_stop, next_delay_ms
from service.deliveries.store import DeliveryClaim
from service.logging.context import bind_ids
from service.logging.redaction import SecretRedactor
from service.logging.setup import get_logger
from service.signatures import sign

#: The wait after an attempt that does not count: another worker may know the callback (deploys
#: overlap), or our own fault may be over.
NOT_COUNTED_RETRY_MS: Final = 30_000
#: The wait after the first deferral; it doubles with each further one.
FIRST_DEFERRAL_MS: Final = 1_000
MAX_DEFERRAL_MS: Final = 60_000

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
    bind_ids(delivery_id=delivery_id, job_id=claim.job_id)
    try:
        # Not while recording: a beat at that moment would find the claim gone.
        with runtime.heartbeat.maintain(delivery_id, owner, claim.fence, claimed_at):
            result = await _attempt(runtime, claim)
    except asyncio.CancelledError:
        await asyncio.shield(_record(runtime, claim, AttemptResult("not_counted", "interrupted")))
        raise
    if _is_deferred(claim, result):
        await _defer(runtime, claim)
    else:
        await _record(runtime, claim, result)


async def _attempt(runtime: Runtime, claim: DeliveryClaim) -> AttemptResult:
    endpoint = runtime.config.endpoints.get(claim.endpoint)
    if endpoint is None:
        return AttemptResult("not_counted", "unknown_callback")
    try:
        return await _post(runtime, claim, endpoint)
    except Exception as error:  # noqa: BLE001 - our fault, so the attempt does not count
        _log.error("callback attempt failed unexpectedly", exc_info=error)
        return AttemptResult("not_counted", "internal_error")


def deferral_ms(deferrals: int, jitter: float) -> int:
    """How long a delivery waits before it tries again for a slot of its origin.

    Parameters:
      deferrals: How often it was deferred before.
      jitter: A random number in [0, 1): gives half to one and a half times the base wait, so that
        deliveries that were deferred together do not come back together.

    Returns:
      Milliseconds from now.
    """
    doublings = min(deferrals, math.ceil(math.log2(MAX_DEFERRAL_MS / FIRST_DEFERRAL_MS)))
    base_ms = min(FIRST_DEFERRAL_MS << doublings, MAX_DEFERRAL_MS)
    return math.floor(base_ms * (0.5 + jitter))


async def _post(
    runtime: Runtime, claim: DeliveryClaim, endpoint: CallbackEndpoint
) -> AttemptResult:
    def headers() -> dict[str, str]:
        now = int(time.time())
        return sign.headers(endpoint.secrets, claim.id, now, claim.payload)

    return await runtime.callback_client.post(endpoint.url, headers, claim.payload)


def _is_deferred(claim: DeliveryClaim, result: AttemptResult) -> bool:
    # Past the hard stop it fails, which is recorded.
    return result.code == "origin_busy" and not is_past_hard_stop(claim.created_ms, _now_ms())


async def _defer(runtime: Runtime, claim: DeliveryClaim) -> None:
    after_ms = deferral_ms(claim.deferrals, random.random())
    await runtime.deliveries.defer(claim, after_ms=after_ms)
    # Not at `info`: a dead origin would fill the log with it.
    _log.debug("callback deferred", callback=claim.endpoint, delay_ms=after_ms)


async def _record(runtime: Runtime, claim: DeliveryClaim, result: AttemptResult) -> None:
    to, after_ms = _next_step(claim, result, _now_ms())
    counts = result.outcome != "not_counted"
    entry = _log_entry(claim, result, counts=counts, after_ms=after_ms)
    entry["body"] = _redact(runtime.config.endpoints.get(claim.endpoint), result.body)
    await runtime.deliveries.record(claim, to, entry, after_ms=after_ms, counts=counts)
    _log.info(
        "callback attempt finished",
        callback=claim.endpoint,
        attempt=claim.attempts + counts,
        outcome=to,
        code=result.code,
        duration_ms=result.duration_ms,
    )


def _redact(endpoint: CallbackEndpoint | None, body: str) -> str:
    """A response body without the endpoint's secrets, which error pages may repeat."""
    if endpoint is None or not body:
        return body
    return _redactor((*endpoint.secrets, endpoint.url)).text(body)


@functools.lru_cache(maxsize=256)
def _redactor(secrets: tuple[str, ...]) -> SecretRedactor:
    return SecretRedactor(secrets)


def _next_step(
    claim: DeliveryClaim, result: AttemptResult, now_ms: int
) -> tuple[Literal["delivered", "failed", "pending"], int]:
    """The delivery's next status, and for `pending` in how many ms the next attempt is due."""
    if result.outcome == "delivered":
        return "delivered", 0
    if result.outcome in ("gone", "final"):
        return "failed", 0
    if result.outcome == "not_counted" and not is_past_hard_stop(claim.created_ms, now_ms):
        return "pending", 0 if result.code == "interrupted" else NOT_COUNTED_RETRY_MS
    delay_ms = next_delay_ms(
        claim.attempts + 1, retry_after_ms=result.retry_after_ms, jitter=random.random()
    )
    if delay_ms is None or is_past_hard_stop(claim.created_ms, now_ms + delay_ms):
        return "failed", 0
    return "pending", delay_ms


def _now_ms() -> int:
    return round(time.time() * 1000)


def _log_entry(
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
