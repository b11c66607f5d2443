"""Records the steps of an attempt in the ledger, and logs how the attempt ended in one line.

Every step may be repeated. While Redis is unreachable it is, for as long as the claim is certainly
ours.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis.exceptions import OutOfMemoryError, RedisError

from actors.instagram.gateway import Gateway
from actors.jobs.next_steps import Finish, Release
from actors.lease_heartbeat import Lease
from service.jobs.claims import Claim, Claims
from service.jobs.follower_page import FollowerPage
from service.jobs.lua.append_follower_page import FollowerPageReply
from service.jobs.lua.finish_job import FinishReply
from service.jobs.lua.store_report import StoreReportReply
from service.jobs.photo_store import PhotoStore
from service.jobs.verification_report import VerificationReport
from service.logging.setup import get_logger
from service.photos.photo import Photo
from service.reports.request import ReportFormat
from service.reports.store import ReportStore

T = TypeVar("T")

_log = get_logger(__name__)


class AttemptRecorder:
    """Records what becomes of one claim.

    Parameters:
      claims: The workers' side of the ledger.
      claim: The claim.
      lease: The claim's lease.
      claimed_at: Monotonic time from before the claim was sent.
    """

    #: The account's client, whose reads are counted with each step; None before it is acquired.
    gateway: Gateway | None = None
    #: What a verification of the write has read; None while there was none.
    verification: VerificationReport | None = None
    #: How many of these reads were charged with the claim.
    prepaid_reads: int = 0

    def __init__(self, claims: Claims, claim: Claim, lease: Lease, claimed_at: float) -> None:
        self._claims = claims
        self._claim = claim
        self._lease = lease
        self._claimed_at = claimed_at

    async def finish(self, step: Finish) -> FinishReply:
        """End the job; reply as `Claims.finish`."""
        reads = self._take_reads()

        async def call() -> FinishReply:
            return await self._claims.finish(
                self._claim, reads=reads, verification=self.verification, **vars(step)
            )

        reply = await self._until_recorded(call)
        outcome = "taken" if reply == "taken" else step.status
        self.log_outcome(outcome, step.failure.code if step.failure else None, step.why)
        return reply

    async def release(self, step: Release) -> None:
        """Give the job back unfinished."""
        reads = self._take_reads()

        async def call() -> str:
            return await self._claims.release(
                self._claim, reads=reads, verification=self.verification, **vars(step)
            )

        await self._until_recorded(call)
        self.log_outcome(step.to, step.reason)

    async def append_follower_page(self, page: FollowerPage) -> None:
        """Append a page to a follower export; errors as `Claims.append_follower_page`."""
        reads = self._take_reads()

        async def call() -> FollowerPageReply:
            return await self._claims.append_follower_page(self._claim, page, reads=reads)

        self.log_outcome(await self._until_recorded(call))

    async def store_photo(self, photos: PhotoStore, photo: Photo) -> None:
        """Store a photo that was fetched; errors as `PhotoStore.save`."""

        async def call() -> bool:
            return await photos.save(self._claim, photo)

        self.log_outcome("photo stored" if await self._until_recorded(call) else "lost")

    async def store_report(
        self, reports: ReportStore, file: bytes, file_format: ReportFormat
    ) -> None:
        """Store the file of a report, which ends the job; errors as `ReportStore.save`."""

        async def call() -> StoreReportReply:
            return await reports.save(self._claim, file, file_format)

        self.log_outcome(await self._until_recorded(call))

    def log_outcome(self, outcome: str, code: str | None = None, why: str | None = None) -> None:
        """Log how the attempt ended."""
        _log.info(
            "job attempt finished",
            kind=self._claim.job.kind,
            attempt=self._claim.job.attempts,
            run=self._claim.job.run,
            outcome=str(outcome),
            code=code,
            reason=why or None,
            duration_ms=round((time.monotonic() - self._claimed_at) * 1000),
        )

    def _take_reads(self) -> int:
        reads = 0 if self.gateway is None else self.gateway.take_reads()
        prepaid = min(reads, self.prepaid_reads)
        self.prepaid_reads -= prepaid
        return reads - prepaid

    async def _until_recorded(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat a call while Redis is unreachable and the claim is certainly ours."""
        self._lease.ending = True
        pause = 0.1
        while True:
            try:
                return await call()
            except OutOfMemoryError:
                raise  # Redis does answer, and will not have memory soon
            except RedisError:
                if not self._lease.is_valid:
                    raise
                await asyncio.sleep(pause)
                pause = min(pause * 2, 1.0)
