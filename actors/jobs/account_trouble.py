"""Refusals that look like a job's trouble and are the account's when they come in a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from redis.exceptions import RedisError

from actors.instagram.errors import ErrorDecision, Outcome
from service.accounts.refusal_streaks import RefusalStreaks
from service.instagram.ids import media_pk
from service.jobs.records import JobRecord
from service.logging.setup import get_logger

#: How many different jobs, or known targets, in a row are the account's trouble.
MAX_IN_A_ROW: Final = 3
#: Waits of a job whose refusal may be the account's trouble, in seconds, so that others can be
#: refused as well before it fails. A lookup job lives for five minutes.
IN_DOUBT_SECONDS: Final = (60, 150)

NOT_FOUND: Final = frozenset({"user_not_found", "media_not_found"})

_LONG: Final = sum(IN_DOUBT_SECONDS)

_UNAUTHORIZED_IN_A_ROW: Final = (
    "Instagram did not accept the session for several jobs in a row, but shows the account its own"
    " page. Use the app with this account, log in with it if it asks to, then resume the account."
)
_NOT_FOUND_IN_A_ROW: Final = (
    "Instagram no longer finds users or posts that this account has seen before: it probably limits"
    " what the account sees. Search for one of them in the app; let the account rest until it is"
    " found there, then resume the account."
)

_log = get_logger(__name__)


def backoff_for(decision: ErrorDecision, usual: Sequence[float]) -> Sequence[float]:
    """The waits between the attempts of a job that met an error, in seconds.

    Parameters:
      decision: What the error means.
      usual: The waits after other errors; lookups have short ones.
    """
    if decision.code in NOT_FOUND or (decision.code == "unauthorized" and sum(usual) < _LONG):
        return IN_DOUBT_SECONDS
    return usual


async def judge_in_context(
    decision: ErrorDecision, job: JobRecord, streaks: RefusalStreaks, *, writing: bool
) -> ErrorDecision:
    """Count a refusal, and decide anew where those before it give it another meaning.

    Parameters:
      decision: What the error means by itself.
      job: The job that met it.
      streaks: The account's refusals in a row.
      writing: Whether a write was refused, which is not repeated: each is charged.

    Returns:
      A hold of the account for the last of several refusals in a row; a retry for a known target
      that a read did not find; else the same decision.
    """
    try:
        if decision.code == "unauthorized":
            return await _judge_unauthorized(decision, job, streaks)
        if decision.code in NOT_FOUND:
            return await _judge_not_found(decision, job, streaks, writing=writing)
    except RedisError as error:
        # The job's own step is recorded when Redis is back; only this refusal is not counted.
        _log.warning("refusal not counted", error=type(error).__name__)
    return decision


async def _judge_unauthorized(
    decision: ErrorDecision, job: JobRecord, streaks: RefusalStreaks
) -> ErrorDecision:
    count = await streaks.add(job.account, "unauthorized", job.id)
    if count < MAX_IN_A_ROW:
        return decision
    return _hold(decision, "unauthorized", _UNAUTHORIZED_IN_A_ROW, job)


async def _judge_not_found(
    decision: ErrorDecision, job: JobRecord, streaks: RefusalStreaks, *, writing: bool
) -> ErrorDecision:
    target = _target(job)
    # Who waits for a lookup is answered from its copy meanwhile; without one, it must end.
    username = None if job.kind == "lookup" else job.to
    if not await streaks.is_known(target, username):
        return decision
    if await streaks.add(job.account, "not_found", target) < MAX_IN_A_ROW:
        return decision if writing else replace(decision, outcome=Outcome.RETRY)
    return _hold(decision, "account_limited", _NOT_FOUND_IN_A_ROW, job)


def _hold(decision: ErrorDecision, code: str, message: str, job: JobRecord) -> ErrorDecision:
    _log.warning("refusals in a row hold the account", account=job.account, code=code)
    return replace(decision, outcome=Outcome.HOLD, code=code, message=message)


def _target(job: JobRecord) -> str:
    """The job's target as lookups name it."""
    return f"post:{media_pk(job.post)}" if job.post else f"user:{job.to.removeprefix('@')}"
