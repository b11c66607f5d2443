"""What follows an error, or a verification that found nothing: one step of the ledger. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from actors.instagram.errors import ErrorDecision, Outcome
from actors.jobs.request_state import RequestState
from service.accounts.holds import what_it_asks
from service.jobs.account_effect import NO_EFFECT, AccountEffect
from service.jobs.claims import ReleaseStatus
from service.jobs.lua.release_job import Charge
from service.jobs.model import Failure, Status, rate_limit_kind
from service.jobs.records import JobRecord

#: Waits between attempts that failed for temporary reasons; after the last, the job fails.
BACKOFF_SECONDS: Final = (5, 30, 120, 600, 1800)
#: Waits between verifications that could not be made; after the last, the job is uncertain.
VERIFY_BACKOFF_SECONDS: Final = (5, 15, 60, 180, 600, 1800)
#: Number of verifications that must find nothing before the write is sent again.
NOT_FOUND_NEEDED: Final = 2
#: How much longer to look before a write that no verification finds is sent again, for each time
#: that this happens in one run; after the last, a person is asked. So a job makes at most three
#: writes of which it does not know whether they arrived.
RESEND_SECONDS: Final = (0, 60)
MAX_WRITES: Final = 1 + len(RESEND_SECONDS)
VERIFY_AGAIN_MS: Final = 3_000
#: How long a job waits for a worker that knows its account and callback (deploys overlap).
UNKNOWN_CONFIG_MS: Final = 30_000
#: Why a job waits for a worker that has the key of its text or photo.
TEXT_UNREADABLE: Final = "text_unreadable"
JITTER: Final = 0.2
#: Codes of unambiguous errors of a write by which it never left this machine.
NEVER_SENT: Final = frozenset({"connection_failed", "call_overdue", "session_replaced"})


@dataclass(frozen=True)
class Release:
    """The job goes back to the ledger unfinished; the fields are parameters of `Claims.release`."""

    to: ReleaseStatus
    reason: str
    after_ms: int = 0
    charge: Charge = "counts"
    effect: AccountEffect = NO_EFFECT
    sent: bool = True


@dataclass(frozen=True)
class Finish:
    """The job ends; the fields are parameters of `Claims.finish`."""

    status: Status
    result: dict[str, Any] | None = None
    failure: Failure | None = None
    why: str = ""
    written: str = ""


#: After an intent that no replica (or disk) has confirmed in time: nothing was sent.
INTENT_NOT_DURABLE: Final = Release(
    Status.WAITING, "not_durable", after_ms=5_000, charge="free", sent=False
)
_OUTCOME_UNKNOWN: Final = Failure(
    "outcome_unknown",
    "The write may have reached Instagram, and reading Instagram did not tell whether it did. Check"
    " the account by hand; POST /jobs/{id}/settle records what you found, POST /jobs/{id}/retry"
    " verifies once more and then sends.",
    retryable=True,
)
_NOT_FOUND: Final = "not found"


def after_error(
    error: ErrorDecision,
    state: RequestState,
    job: JobRecord,
    *,
    backoff: Sequence[float],
    settle_ms: int,
    jitter: float,
) -> Release | Finish:
    """Decide what follows an error.

    Parameters:
      error: The classified error.
      state: What is known of the attempt's request.
      job: The job as it was when claimed.
      backoff: Waits between attempts that failed for temporary reasons, in seconds.
      settle_ms: How long a server may take to store a write that it has received.
      jitter: A random number in [0, 1): lengthens a wait by up to 20 %.
    """
    # In SENDING an unambiguous error proves that the write was not made. In UNCONFIRMED no error
    # proves anything of the earlier write.
    if state is RequestState.SENDING and error.ambiguous:
        return leave_to_settle(error.code, settle_ms, error.retry_after_seconds)
    if state is RequestState.UNCONFIRMED:
        return _after_failed_verification(error, job, jitter)
    if error.outcome is Outcome.FINAL and _is_last_try(error, job):
        return Finish(Status.FAILED, failure=Failure(error.code, error.message))
    effect = account_effect(error, job)
    sent = state is not RequestState.NOT_SENT and not _never_sent(error)
    if error.outcome is Outcome.COOL_DOWN:
        return _rest(error, job, effect, sent=sent)
    if error.outcome in (Outcome.HOLD, Outcome.FIX_PROXY, Outcome.RELOGIN):
        return Release(Status.HELD, error.code, charge="free", effect=effect, sent=sent)
    return _retry(error, job, backoff, jitter, sent=sent)


def after_not_found(job: JobRecord, jitter: float) -> Release | Finish:
    """Decide what follows a verification that did not find the job's write.

    Parameters:
      job: The job as it was when claimed.
      jitter: As in `after_error`.
    """
    if job.doubt == "history":
        # One lookup is enough: whatever was under way when history was lost has been stored since.
        return Release(Status.QUEUED, "not found: send", charge="looked")
    if job.not_found_count + 1 < NOT_FOUND_NEEDED:
        return Release(Status.SENDING, _NOT_FOUND, after_ms=VERIFY_AGAIN_MS)
    if job.resends >= len(RESEND_SECONDS):
        return _uncertain(_NOT_FOUND)
    more_seconds = RESEND_SECONDS[job.resends]
    if more_seconds and job.not_found_count < NOT_FOUND_NEEDED:
        # The last look is right before the write is sent again.
        return Release(Status.SENDING, _NOT_FOUND, after_ms=_jittered_ms(more_seconds, jitter))
    return Release(Status.QUEUED, "not found: send again", charge="resend")


def leave_to_settle(why: str, settle_ms: int, retry_after_seconds: int | None = None) -> Release:
    """Leave an unconfirmed write alone until a server has stored what it may have received.

    Parameters:
      why: What happened to it.
      settle_ms: How long a server may take.
      retry_after_seconds: The least wait that Instagram asks for, if it does.
    """
    after_ms = _at_least(settle_ms, retry_after_seconds)
    return Release(Status.SENDING, why, after_ms=after_ms, charge="free")


def account_effect(error: ErrorDecision, job: JobRecord) -> AccountEffect:
    """What an error means for the whole account: a hold, a cooldown, or nothing.

    Parameters:
      error: The classified error.
      job: The job that met it.
    """
    if error.outcome in (Outcome.HOLD, Outcome.FIX_PROXY, Outcome.RELOGIN):
        asks = what_it_asks(error.code, job.account, error.said)
        return AccountEffect(hold=error.code, note=error.message, asks=asks, said=error.said)
    if error.outcome is Outcome.COOL_DOWN and error.cooldown_seconds:
        return AccountEffect(
            cooldown=error.code,
            kind=rate_limit_kind(job.kind) if error.scope == "kind" else "*",
            cooldown_ms=1000 * error.cooldown_seconds,
            escalation=error.escalation,
        )
    return NO_EFFECT


def _rest(
    error: ErrorDecision, job: JobRecord, effect: AccountEffect, *, sent: bool
) -> Release | Finish:
    limited = error.tries is not None
    if limited and _is_last_try(error, job):
        # The account does not rest for it again: the next job shows whether it must.
        return _exhausted(error)
    return Release(
        Status.WAITING,
        error.code,
        after_ms=1000 * (error.cooldown_seconds or 0),
        charge="refused" if limited else "free",
        effect=effect,
        sent=sent,
    )


def _exhausted(error: ErrorDecision) -> Finish:
    failure = Failure(error.code, error.message, retryable=True)
    return Finish(Status.FAILED, failure=failure, why="attempts exhausted")


def _retry(
    error: ErrorDecision, job: JobRecord, backoff: Sequence[float], jitter: float, *, sent: bool
) -> Release | Finish:
    refused = error.tries is not None
    if job.failed_attempts >= len(backoff) or (refused and _is_last_try(error, job)):
        return _exhausted(error)
    after_ms = _jittered_ms(backoff[job.failed_attempts], jitter)
    return Release(
        Status.WAITING,
        error.code,
        after_ms=_at_least(after_ms, error.retry_after_seconds),
        charge="refused" if refused else "counts",
        sent=sent,
    )


def _is_last_try(error: ErrorDecision, job: JobRecord) -> bool:
    """Whether Instagram has refused the job as often as this error allows."""
    return job.refusals + 1 >= (error.tries or 1)


def _after_failed_verification(
    error: ErrorDecision, job: JobRecord, jitter: float
) -> Release | Finish:
    if job.verification_failures >= len(VERIFY_BACKOFF_SECONDS):
        return _uncertain(error.code)
    after_ms = _jittered_ms(VERIFY_BACKOFF_SECONDS[job.verification_failures], jitter)
    after_ms = _at_least(after_ms, error.retry_after_seconds)
    effect = account_effect(error, job)
    # A verification that the account's own trouble prevents does not count against the job.
    charge: Charge = "failed" if effect is NO_EFFECT else "free"
    return Release(Status.SENDING, error.code, after_ms=after_ms, charge=charge, effect=effect)


def _uncertain(why: str) -> Finish:
    """Leave it to a person, after a last verification that ended so."""
    return Finish(Status.UNCERTAIN, failure=_OUTCOME_UNKNOWN, why=why)


def _never_sent(error: ErrorDecision) -> bool:
    return error.outcome is Outcome.FIX_PROXY or error.code in NEVER_SENT


def _at_least(after_ms: int, seconds: int | None) -> int:
    return max(after_ms, 1000 * (seconds or 0))


def _jittered_ms(seconds: float, jitter: float) -> int:
    return round(1000 * seconds * (1 + JITTER * jitter))
