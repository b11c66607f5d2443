"""One attempt at a job: claim, look where a write is in doubt, intent, write, finish.

Whatever goes wrong is judged once (`instagram/errors.py`) and becomes one step of the ledger.
A write is sent only after its intent is recorded and while the claim is certainly ours; once it
may have been sent, nothing but a look-up says that it was not.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from functools import cached_property
from typing import Final, TypeVar

from redis.exceptions import RedisError
from structlog.contextvars import bind_contextvars

from actors.instagram.errors import ErrorDecision, Outcome, UnknownAccount, classify
from actors.instagram.gateway import Gateway
from actors.instagram.write_deadline import request_deadline
from actors.jobs.account_effects import effect_of
from actors.jobs.attempt_recorder import AttemptRecorder
from actors.jobs.photo_dm import write_for
from actors.jobs.writes import JobWrite, WriteResult, search_context
from actors.lease_heartbeat import Lease
from actors.runtime import Runtime
from service.jobs.claims import (
    NO_EFFECT,
    Claim,
    ReleaseStatus,
    Thread,
)
from service.jobs.lua.record_intent import IntentReply
from service.jobs.model import Failure, Status
from service.jobs.write_ownership import WriteOwnership
from service.logging.setup import get_logger

#: Waits between attempts that failed for reasons of the moment; after the last, the job fails.
BACKOFF_SECONDS: Final = (5, 30, 120, 600, 1800)
#: Waits between look-ups that could not be made; after the last, the job is uncertain.
VERIFY_BACKOFF_SECONDS: Final = (5, 15, 60, 180, 600, 1800)
#: A look-up that finds nothing is made twice before the write is sent again.
NOT_FOUND_NEEDED: Final = 2
#: How often a write that look-ups do not find is sent, before a person is asked.
MAX_WRITES: Final = 6
VERIFY_AGAIN_MS: Final = 3_000
#: How long a job waits for a worker that knows its account and callback (deploys overlap).
UNKNOWN_CONFIG_MS: Final = 30_000
JITTER: Final = 0.2
#: Verdicts on a write, not ambiguous ones, by which it never left this machine.
NEVER_SENT: Final = frozenset({"connection_failed", "call_overdue", "session_replaced"})
#: Verdicts by which a recipient does not take messages.
MESSAGES_REFUSED: Final = frozenset({"message_requests_disabled"})

T = TypeVar("T")

_log = get_logger(__name__)


async def perform(runtime: Runtime, job_id: str, work: type[Attempt] | None = None) -> None:
    """Work on a job, if there is anything to do.

    Parameters:
      runtime: The process' resources.
      job_id: From the wake-up.
      work: How; None for what writes.
    """
    owner, claimed_at = runtime.owner(), time.monotonic()
    claim = await runtime.claims.claim(job_id, owner)
    if claim is None:
        return
    bind_contextvars(
        job_id=job_id, account=claim.job.account, event_id=claim.job.source.get("event_id")
    )
    with (
        runtime.heartbeat.maintain(job_id, owner, claim.fence, claimed_at) as hold,
        request_deadline(hold.seconds_left),
    ):
        await (work or Attempt)(runtime, claim, hold, claimed_at).run()


class Attempt:
    """The work on one claim.

    Parameters:
      runtime: The process' resources.
      claim: The claim.
      hold: What the pulse knows of it.
      began: Monotonic time from before the claim was asked for.
    """

    #: Waits between attempts that failed for reasons of the moment, in seconds.
    backoff: Sequence[float] = BACKOFF_SECONDS

    def __init__(self, runtime: Runtime, claim: Claim, hold: Lease, began: float) -> None:
        self._runtime = runtime
        self._claim = claim
        self._lease = hold
        self._outcome_unknown = claim.verify_first
        self._writing = False
        # What was charged for the write may have left this machine.
        self._may_have_been_sent = True
        self._began = began
        self._recorder = AttemptRecorder(runtime.claims, claim, hold, began)
        self._pk = ""

    @cached_property
    def _job_write(self) -> JobWrite:
        return write_for(self._claim, self._runtime.photo_loader)

    async def run(self) -> None:
        """Do it; every end but a lost claim is recorded."""
        try:
            await self._work()
        except asyncio.CancelledError:
            # The process shuts down, or the claim is another's (then this changes nothing).
            await asyncio.shield(self._hand_back())
            raise
        except RedisError:
            # Nothing can be recorded: the claim lapses and the work goes on elsewhere.
            raise
        except Exception as error:  # noqa: BLE001 - every error has its verdict
            await self._handle_error(error)

    async def _work(self) -> None:
        job, endpoints = self._claim.job, self._runtime.config.endpoints
        try:
            lent = self._runtime.gateways.acquire(job.account)
        except UnknownAccount:
            await self._wait_for_another_worker("unknown_account")
            return
        if job.callback and job.callback not in endpoints:
            await self._wait_for_another_worker("unknown_callback")
            return
        with lent as gateway:
            self._recorder.gateway = gateway
            await gateway.ensure_login()
            await self._act(gateway)

    async def _act(self, gateway: Gateway) -> None:
        job = self._claim.job
        pk = self._pk = await self._job_write.target(self._claim, gateway, self._runtime.user_ids)
        if self._outcome_unknown:
            await self._verify_write(gateway, pk)
            return
        await self._job_write.prepare(self._claim, gateway, pk)
        if self._runtime.config.settings.dry_run or job.dry_run:
            await self._recorder.finish(Status.SUCCEEDED, result={"dry_run": True}, why="dry run")
        else:
            await self._write(gateway, pk)

    async def _write(self, gateway: Gateway, pk: str) -> None:
        reply = await self._record_intent(gateway, pk)
        if reply == "ask":
            reply = await self._record_intent(
                gateway, pk, await self._job_write.thread(gateway, pk)
            )
        if reply != "ok":
            self._recorder.report(reply)
            return
        self._may_have_been_sent = False
        await self._job_write.upload(gateway)
        self._may_have_been_sent = self._outcome_unknown = self._writing = True
        done = await self._job_write.write(self._claim, gateway, pk)
        if not await self._succeed(done):
            # Another job's look-up was faster, while this worker stood still.
            await self._settle("credited to another job")

    async def _record_intent(self, gateway: Gateway, pk: str, thread: Thread = "") -> IntentReply:
        return await self._runtime.claims.record_intent(
            self._claim,
            pk=pk,
            context=self._job_write.context(self._claim),
            thread=thread,
            reads=gateway.take_reads(),
        )

    async def _verify_write(self, gateway: Gateway, pk: str) -> None:
        search = search_context(self._claim, self._began, WriteOwnership(self._runtime.client))
        done = await self._job_write.find(self._claim, gateway, pk, search)
        if done is not None and await self._succeed(done, why="found by look-up"):
            return
        if self._claim.job.not_found_count + 1 < NOT_FOUND_NEEDED:
            await self._recorder.release(Status.SENDING, "not found", after_ms=VERIFY_AGAIN_MS)
        elif self._claim.job.attempts > MAX_WRITES:
            await self._end_uncertain()
        else:
            await self._recorder.release(Status.QUEUED, "not found: send again")

    async def _succeed(self, done: WriteResult, why: str = "") -> bool:
        """End the job well; False when what was written turned out to be another job's."""
        reply = await self._recorder.finish(
            Status.SUCCEEDED, result=done.result, why=why, written=done.written
        )
        return reply != "taken"

    async def _handle_error(self, error: Exception) -> None:
        verdict = classify(error, writing=self._writing)
        if self._outcome_unknown and (verdict.ambiguous or not self._writing):
            await self._verify_later(verdict)
            return
        match verdict.outcome:
            case Outcome.COOL_DOWN:
                cooldown_ms = 1000 * (verdict.cooldown_seconds or 0)
                await self._recorder.release(
                    Status.WAITING,
                    verdict.code,
                    after_ms=cooldown_ms,
                    charge="free",
                    effect=effect_of(verdict, self._claim.job.kind),
                    sent=self._may_have_been_sent,
                )
            case Outcome.HOLD | Outcome.FIX_PROXY | Outcome.RELOGIN:
                await self._recorder.release(
                    Status.HELD,
                    verdict.code,
                    charge="free",
                    effect=effect_of(verdict, self._claim.job.kind),
                    sent=self._may_have_been_sent and verdict.outcome is not Outcome.FIX_PROXY,
                )
            case Outcome.FINAL:
                failure = Failure(verdict.code, verdict.message)
                await self._suppress_recipient(verdict)
                await self._recorder.finish(Status.FAILED, failure=failure)
            case _:
                await self._retry_later(verdict)

    async def _suppress_recipient(self, verdict: ErrorDecision) -> None:
        """Leave alone from now on who does not take this account's messages."""
        job = self._claim.job
        if verdict.code not in MESSAGES_REFUSED or not self._pk:
            return
        name = None if job.to.isdigit() else job.to
        try:
            await self._runtime.suppressions.suppress_for_account(
                self._pk, name, job.account, verdict.code
            )
        except RedisError as error:
            # The end of the job matters more; Instagram refuses the next one as well.
            _log.warning("recipient not suppressed", error=type(error).__name__)

    async def _retry_later(self, verdict: ErrorDecision) -> None:
        strikes = self._claim.job.failed_attempts
        if strikes >= len(self.backoff):
            failure = Failure(verdict.code, verdict.message, retryable=True)
            await self._recorder.finish(Status.FAILED, failure=failure, why="attempts exhausted")
            return
        after_ms = _jittered_ms(self.backoff[strikes])
        sent = self._may_have_been_sent and verdict.code not in NEVER_SENT
        await self._recorder.release(Status.WAITING, verdict.code, after_ms=after_ms, sent=sent)

    async def _verify_later(self, verdict: ErrorDecision) -> None:
        """A write may have happened and this did not tell: look (again) later."""
        looks = self._claim.job.verification_failures
        if self._writing:
            await self._settle(verdict.code)
        elif looks >= len(VERIFY_BACKOFF_SECONDS):
            await self._end_uncertain()
        else:
            effect = effect_of(verdict, self._claim.job.kind)
            await self._recorder.release(
                Status.SENDING,
                verdict.code,
                after_ms=_jittered_ms(VERIFY_BACKOFF_SECONDS[looks]),
                charge="failed" if effect is NO_EFFECT else "free",
                effect=effect,
            )

    async def _settle(self, why: str) -> None:
        """Leave a write in doubt alone: a server may still store what it has received."""
        settle_ms = round(self._runtime.config.settings.settle_seconds * 1000)
        await self._recorder.release(Status.SENDING, why, after_ms=settle_ms, charge="free")

    async def _end_uncertain(self) -> None:
        message = (
            "The write may have reached Instagram, and looking for it did not tell. Check the"
            " account by hand; POST /jobs/{id}/retry looks once more and then sends."
        )
        failure = Failure("outcome_unknown", message, retryable=True)
        await self._recorder.finish(Status.UNCERTAIN, failure=failure, why="cannot be known")

    async def _wait_for_another_worker(self, why: str) -> None:
        to: ReleaseStatus = Status.SENDING if self._outcome_unknown else Status.HELD
        await self._recorder.release(to, why, after_ms=UNKNOWN_CONFIG_MS, charge="free", sent=False)

    async def _hand_back(self) -> None:
        if self._outcome_unknown:
            await self._settle("handed back")
        else:
            await self._recorder.release(
                Status.QUEUED, "handed back", charge="free", sent=self._may_have_been_sent
            )


def _jittered_ms(seconds: float) -> int:
    return round(1000 * seconds * (1 + JITTER * random.random()))
