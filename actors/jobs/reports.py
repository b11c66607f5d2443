"""Reports: the numbers of a period, read here and drawn in a process of their own.

A claim of a report has the turn of the reports' own queue, so that one is drawn at a time over all
workers.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Final

from redis.exceptions import OutOfMemoryError, RedisError

from actors.instagram.error_policies import ErrorPolicy, Outcome
from actors.instagram.errors import ClassifiedError, classify
from actors.jobs.attempt_recorder import AttemptRecorder
from actors.jobs.next_steps import Finish, Release, after_error
from actors.jobs.request_state import RequestState
from actors.lease_heartbeat import Lease
from actors.runtime import Runtime
from service.jobs.claims import Claim
from service.jobs.model import Status
from service.logging.context import bind_ids
from service.reports.csv_file import as_csv
from service.reports.pdf_file import DrawingFailed
from service.reports.request import ReportRequest
from service.stats.reader import StatsReader
from service.stats.summary import summarize

#: Waits between attempts, in seconds; after the last, the job fails.
BACKOFF_SECONDS: Final = (2, 20)
#: After Redis had no memory for a file, the wait until it is drawn again.
STORE_FULL_RETRY_MS: Final = 60_000

_NOT_DRAWN: Final = ErrorPolicy(
    Outcome.RETRY,
    "report_not_drawn",
    "The report could not be drawn within its limits of time and memory.",
    remedy="Ask for a shorter period or for CSV if this repeats.",
)


async def draw_report(runtime: Runtime, job_id: str) -> None:
    """Make the file of a report, if there is anything to do.

    Parameters:
      runtime: The process' resources.
      job_id: From the wake-up.
    """
    owner, claimed_at = runtime.owner(), time.monotonic()
    claim = await runtime.claims.claim(job_id, owner)
    if claim is None:
        return
    bind_ids(job_id=job_id)
    with runtime.heartbeat.maintain(job_id, owner, claim.fence, claimed_at) as lease:
        await ReportAttempt(runtime, claim, lease, claimed_at).run()


class ReportAttempt:
    """The work on one claim of a report; parameters as `Attempt`."""

    def __init__(self, runtime: Runtime, claim: Claim, lease: Lease, claimed_at: float) -> None:
        self._runtime = runtime
        self._claim = claim
        self._recorder = AttemptRecorder(runtime.claims, claim, lease, claimed_at)

    async def run(self) -> None:
        """Make the file; every end but a lost claim is recorded."""
        try:
            await self._make()
        except asyncio.CancelledError:
            # The process shuts down, or the claim is lost: then this changes nothing.
            step = Release(Status.QUEUED, "interrupted", charge="free")
            await asyncio.shield(self._recorder.release(step))
            raise
        except OutOfMemoryError:
            await self._recorder.release(
                Release(Status.WAITING, "store_full", after_ms=STORE_FULL_RETRY_MS, charge="free")
            )
        except RedisError:
            # Nothing can be recorded: the lease expires and another worker begins again.
            raise
        except DrawingFailed:
            await self._handle_error(ClassifiedError(_NOT_DRAWN))
        except Exception as error:  # noqa: BLE001 - every error is classified
            await self._handle_error(error)

    async def _make(self) -> None:
        request = ReportRequest.of(self._claim.job.report or {})
        summary = await summarize(StatsReader(self._runtime.client), request.period)
        if request.format == "csv":
            file = await asyncio.to_thread(as_csv, summary, request.by)
        else:
            file = await self._runtime.pdf_drawer.draw(summary, request.by)
        await self._recorder.store_report(self._runtime.reports, file, request.format)

    async def _handle_error(self, error: Exception) -> None:
        step = after_error(
            classify(error, writing=False),
            RequestState.NOT_CHARGED,
            self._claim.job,
            backoff=BACKOFF_SECONDS,
            settle_ms=0,
            jitter=random.random(),
        )
        if isinstance(step, Finish):
            await self._recorder.finish(step)
        else:
            await self._recorder.release(step)
