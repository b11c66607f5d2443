"""One attempt at a job: claim, verify an unconfirmed write, intent, write, finish.

A write is sent only after its intent is recorded and while the claim is certainly ours; once it
may have been sent, only a verification tells that it was not. Whatever goes wrong is classified
once (`instagram/errors.py`) and becomes one step of the ledger (`next_steps.py`).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from functools import cached_property

from redis.exceptions import RedisError

from actors.instagram.error_policies import RECIPIENT_REFUSES
from actors.instagram.errors import UnknownAccount, classify
from actors.instagram.gateway import Gateway
from actors.instagram.request_deadline import request_deadline
from actors.jobs.account_trouble import backoff_for, judge_in_context
from actors.jobs.attempt_recorder import AttemptRecorder
from actors.jobs.next_steps import (
    BACKOFF_SECONDS,
    INTENT_NOT_DURABLE,
    TEXT_UNREADABLE,
    UNKNOWN_CONFIG_MS,
    Finish,
    Release,
    after_error,
    after_not_found,
    leave_to_settle,
)
from actors.jobs.photo_dm import write_for
from actors.jobs.request_state import RequestState
from actors.jobs.writes import JobWrite, WriteResult, search_context
from actors.lease_heartbeat import Lease
from actors.runtime import Runtime
from service.accounts.refusal_streaks import RefusalStreaks
from service.encryption.cipher import Unreadable
from service.jobs.claims import Claim, ReleaseStatus, Thread
from service.jobs.lua.record_intent import IntentReply
from service.jobs.model import Failure, Status
from service.jobs.write_ownership import WriteOwnership
from service.logging.context import bind_ids
from service.logging.setup import get_logger
from service.redis.causes import NotDurable

_log = get_logger(__name__)


async def perform(runtime: Runtime, job_id: str, work: type[Attempt] | None = None) -> None:
    """Work on a job, if there is anything to do.

    Parameters:
      runtime: The process' resources.
      job_id: From the wake-up.
      work: The kind of attempt; None for jobs that write.
    """
    owner, claimed_at = runtime.owner(), time.monotonic()
    claim = await runtime.claims.claim(job_id, owner)
    if claim is None:
        return
    bind_ids(job_id=job_id, account=claim.job.account, event_id=claim.job.source.get("event_id"))
    with (
        runtime.heartbeat.maintain(job_id, owner, claim.fence, claimed_at) as lease,
        request_deadline(lease.seconds_left),
    ):
        await (work or Attempt)(runtime, claim, lease, claimed_at).run()


class Attempt:
    """The work on one claim.

    Parameters:
      runtime: The process' resources.
      claim: The claim.
      lease: The claim's lease, which the heartbeat renews.
      claimed_at: Monotonic time from before the claim was sent.
    """

    #: Waits between attempts that failed for temporary reasons, in seconds.
    backoff: Sequence[float] = BACKOFF_SECONDS

    def __init__(self, runtime: Runtime, claim: Claim, lease: Lease, claimed_at: float) -> None:
        self._runtime = runtime
        self._claim = claim
        self._claimed_at = claimed_at
        self._state = (
            RequestState.UNCONFIRMED
            if claim.verify_first and not claim.look_first
            else RequestState.NOT_CHARGED
        )
        self._recorder = AttemptRecorder(runtime.claims, claim, lease, claimed_at)
        self._pk = ""

    @cached_property
    def _job_write(self) -> JobWrite:
        return write_for(self._claim, self._runtime.photos)

    async def run(self) -> None:
        """Do the work; every end but a lost claim is recorded."""
        try:
            await self._work()
        except asyncio.CancelledError:
            # The process shuts down, or the claim is another's: then this changes nothing.
            await asyncio.shield(self._hand_back())
            raise
        except RedisError:
            # Nothing can be recorded: the lease expires and another worker continues.
            raise
        except Unreadable:
            await self._wait_for_another_worker(TEXT_UNREADABLE)
        except Exception as error:  # noqa: BLE001 - every error is classified
            await self._handle_error(error)

    async def _work(self) -> None:
        job, endpoints = self._claim.job, self._runtime.config.endpoints
        try:
            acquired = self._runtime.gateways.acquire(job.account)
        except UnknownAccount:
            await self._wait_for_another_worker("unknown_account")
            return
        if job.callback and job.callback not in endpoints:
            await self._wait_for_another_worker("unknown_callback")
            return
        with acquired as gateway:
            self._recorder.gateway = gateway
            await gateway.ensure_login()
            await self._act(gateway)

    async def _act(self, gateway: Gateway) -> None:
        job = self._claim.job
        self._claim.check_readable()  # before anything is asked for it
        pk = self._pk = await self._job_write.target(self._claim, gateway, self._runtime.user_ids)
        if self._claim.verify_first:
            self._state = RequestState.UNCONFIRMED
            await self._verify_write(gateway, pk)
            return
        await self._job_write.prepare(self._claim, gateway, pk)
        if self._runtime.config.settings.dry_run or job.dry_run:
            dry_run = Finish(Status.SUCCEEDED, result={"dry_run": True}, why="dry run")
            await self._recorder.finish(dry_run)
        else:
            await self._write(gateway, pk)

    async def _write(self, gateway: Gateway, pk: str) -> None:
        try:
            reply = await self._record_intent(gateway, pk)
            if reply == "ask":
                thread = await self._job_write.thread(gateway, pk)
                reply = await self._record_intent(gateway, pk, thread)
        except NotDurable:
            # A failover could lose the intent, and the write would be made again without a look.
            self._state = RequestState.NOT_SENT
            await self._recorder.release(INTENT_NOT_DURABLE)
            return
        if reply != "ok":
            self._recorder.log_outcome(reply)
            return
        self._state = RequestState.NOT_SENT
        await self._job_write.upload(gateway)
        self._state = RequestState.SENDING
        written = await self._job_write.write(self._claim, gateway, pk)
        if not await self._succeed(written):
            # Another job's verification took the write for its own while this worker was stalled.
            await self._recorder.release(
                leave_to_settle("credited to another job", self._settle_ms)
            )

    async def _record_intent(self, gateway: Gateway, pk: str, thread: Thread = "") -> IntentReply:
        return await self._runtime.claims.record_intent(
            self._claim,
            pk=pk,
            context=self._job_write.context(self._claim),
            thread=thread,
            reads=gateway.take_reads(),
        )

    async def _verify_write(self, gateway: Gateway, pk: str) -> None:
        ownership = WriteOwnership(self._runtime.client)
        search = search_context(self._claim, self._claimed_at, ownership)
        self._recorder.verification = search.report
        found = await self._job_write.find(self._claim, gateway, pk, search)
        if found is None or not await self._succeed(found, why="found by verification lookup"):
            await self._record(after_not_found(self._claim.job, random.random()))

    async def _succeed(self, written: WriteResult, why: str = "") -> bool:
        """End the job well; False when the write turned out to be another job's."""
        finish = Finish(Status.SUCCEEDED, result=written.result, why=why, written=written.written)
        return await self._recorder.finish(finish) != "taken"

    async def _handle_error(self, error: Exception) -> None:
        job, writing = self._claim.job, self._state is RequestState.SENDING
        streaks = RefusalStreaks(self._runtime.client)
        meaning = classify(error, writing=writing, kind=job.kind)
        decision = await judge_in_context(meaning, job, streaks, writing=writing)
        step = after_error(
            decision,
            self._state,
            job,
            backoff=backoff_for(decision, self.backoff),
            settle_ms=self._settle_ms,
            jitter=random.random(),
        )
        if isinstance(step, Finish) and step.failure is not None:
            await self._suppress_recipient(step.failure)
        await self._record(step)

    async def _suppress_recipient(self, failure: Failure) -> None:
        """Stop writing to a recipient that accepts no messages from this account."""
        job = self._claim.job
        if failure.code not in RECIPIENT_REFUSES or not self._pk:
            return
        name = None if job.to.isdigit() else job.to
        try:
            await self._runtime.suppressions.suppress_for_account(
                self._pk, name, job.account, failure.code
            )
        except RedisError as error:
            # Ending the job matters more; Instagram refuses the next message as well.
            _log.warning("recipient not suppressed", error=type(error).__name__)

    async def _wait_for_another_worker(self, why: str) -> None:
        to: ReleaseStatus = Status.SENDING if self._state.may_have_written else Status.HELD
        await self._recorder.release(
            Release(to, why, after_ms=UNKNOWN_CONFIG_MS, charge="free", sent=False)
        )

    async def _hand_back(self) -> None:
        if self._state.may_have_written:
            step = leave_to_settle("interrupted", self._settle_ms)
        else:
            sent = self._state is not RequestState.NOT_SENT
            step = Release(Status.QUEUED, "interrupted", charge="free", sent=sent)
        await self._recorder.release(step)

    async def _record(self, step: Release | Finish) -> None:
        if isinstance(step, Finish):
            await self._recorder.finish(step)
        else:
            await self._recorder.release(step)

    @property
    def _settle_ms(self) -> int:
        return round(self._runtime.config.settings.settle_seconds * 1000)
