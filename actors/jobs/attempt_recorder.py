"""What an attempt records: how the job ended, or where it goes on, and one line in the log.

Every step may be repeated: while Redis is away it is, for as long as the claim is certainly ours.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from redis.exceptions import OutOfMemoryError, RedisError

from actors.instagram.gateway import Gateway
from actors.lease_heartbeat import Lease
from service.jobs.claims import (
    NO_EFFECT,
    AccountEffect,
    Claim,
    Claims,
    FollowerPage,
    ReleaseStatus,
)
from service.jobs.lua.append_follower_page import FollowerPageReply
from service.jobs.lua.finish_job import FinishReply
from service.jobs.lua.release_job import Charge
from service.jobs.model import Failure, Status
from service.logging.setup import get_logger

T = TypeVar("T")

_log = get_logger(__name__)


class AttemptRecorder:
    """Records what becomes of one claim.

    Parameters:
      claims: The ledger's side of the workers.
      claim: The claim.
      hold: What the pulse knows of it.
      began: Monotonic time from before the claim was asked for.
    """

    #: Whose reads are counted with each step; None until the account's client is there.
    gateway: Gateway | None = None
    #: How many reads were charged before they were made.
    prepaid_reads: int = 0
    #: Whether what was charged with the claim has certainly not been asked for yet.
    request_not_sent: bool = False

    def __init__(self, claims: Claims, claim: Claim, hold: Lease, began: float) -> None:
        self._claims = claims
        self._claim = claim
        self._lease = hold
        self._began = began

    async def finish(
        self,
        status: Status,
        *,
        result: dict[str, Any] | None = None,
        failure: Failure | None = None,
        why: str = "",
        written: str = "",
    ) -> FinishReply:
        """End the job; parameters and reply as `Claims.finish`."""
        reads = self._take_reads()

        async def step() -> FinishReply:
            return await self._claims.finish(
                self._claim,
                status,
                result=result,
                failure=failure,
                why=why,
                written=written,
                reads=reads,
            )

        reply = await self._until_recorded(step)
        outcome = "taken" if reply == "taken" else status
        self.report(outcome, failure.code if failure else None, why)
        return reply

    async def release(
        self,
        to: ReleaseStatus,
        reason: str,
        *,
        after_ms: int = 0,
        charge: Charge = "counts",
        effect: AccountEffect = NO_EFFECT,
        sent: bool = True,
    ) -> None:
        """Give the job back; parameters as `Claims.release`."""
        reads = self._take_reads()

        async def step() -> str:
            return await self._claims.release(
                self._claim,
                to,
                reason,
                after_ms=after_ms,
                charge=charge,
                effect=effect,
                reads=reads,
                sent=sent and not self.request_not_sent,
            )

        await self._until_recorded(step)
        self.report(to, reason)

    async def append_follower_page(self, found: FollowerPage) -> None:
        """Take a page of a walk in; parameters and errors as `Claims.page`."""
        reads = self._take_reads()

        async def step() -> FollowerPageReply:
            return await self._claims.append_follower_page(self._claim, found, reads=reads)

        self.report(await self._until_recorded(step))

    def _take_reads(self) -> int:
        reads = 0 if self.gateway is None else self.gateway.take_reads()
        paid = min(reads, self.prepaid_reads)
        self.prepaid_reads -= paid
        return reads - paid

    async def _until_recorded(self, step: Callable[[], Awaitable[T]]) -> T:
        """Repeat a step while Redis is away and the claim is sure; all of them may be repeated."""
        self._lease.ending = True
        pause = 0.1
        while True:
            try:
                return await step()
            except OutOfMemoryError:
                raise  # it answers, and will not have it for a while
            except RedisError:
                if not self._lease.is_valid:
                    raise
                await asyncio.sleep(pause)
                pause = min(pause * 2, 1.0)

    def report(self, outcome: str, code: str | None = None, why: str | None = None) -> None:
        """Log how the attempt ended, in one line."""
        _log.info(
            "job attempt finished",
            kind=self._claim.job.kind,
            attempt=self._claim.job.attempts,
            run=self._claim.job.run,
            outcome=str(outcome),
            code=code,
            reason=why or None,
            duration_ms=round((time.monotonic() - self._began) * 1000),
        )
