"""Fetches a job's photo before the job asks for its account's turn.

Whatever the photo's server does, the account's other jobs go on meanwhile. The claim is one of the
photo alone: when the job is canceled or expires, the heartbeat finds the claim lost and cancels the
fetch.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Final

from redis.exceptions import OutOfMemoryError, RedisError
from structlog.contextvars import bind_contextvars

from actors.egress.origin_limiter import OriginBusy
from actors.instagram.error_policies import ErrorPolicy, Outcome
from actors.instagram.errors import ClassifiedError, classify
from actors.jobs.attempt_recorder import AttemptRecorder
from actors.jobs.next_steps import (
    BACKOFF_SECONDS,
    TEXT_UNREADABLE,
    UNKNOWN_CONFIG_MS,
    Finish,
    Release,
    after_error,
)
from actors.jobs.request_state import RequestState
from actors.lease_heartbeat import Lease
from actors.runtime import Runtime
from service.encryption.cipher import Unreadable
from service.jobs.claims import Claim
from service.jobs.model import Status

#: The wait after Redis had no memory for a photo.
STORE_FULL_RETRY_MS: Final = 60_000
#: The bounds of the wait for a busy origin, which is a quarter of how long the job has waited.
MIN_DEFERRAL_MS: Final = 1_000
MAX_DEFERRAL_MS: Final = 60_000

_GONE: Final = ErrorPolicy(
    Outcome.FINAL, "photo_gone", "The photo's URL is no longer stored: create a new job."
)


async def fetch_photo(runtime: Runtime, job_id: str) -> None:
    """Fetch the photo of a job, if it waits for that.

    Parameters:
      runtime: The process' resources.
      job_id: From the wake-up.
    """
    owner, claimed_at = runtime.owner(), time.monotonic()
    claim = await runtime.photos.claim_fetch(job_id, owner)
    if claim is None:
        return
    bind_contextvars(
        job_id=job_id, account=claim.job.account, event_id=claim.job.source.get("event_id")
    )
    with runtime.heartbeat.maintain(job_id, owner, claim.fence, claimed_at) as lease:
        await PhotoFetch(runtime, claim, lease, claimed_at).run()


def deferral_ms(waited_ms: int, jitter: float) -> int:
    """How long a photo waits before it tries again for a slot of its origin.

    Parameters:
      waited_ms: For how long its job has been due.
      jitter: A random number in [0, 1): gives half to one and a half times the base wait, so that
        photos that were deferred together do not come back together.

    Returns:
      Milliseconds from now.
    """
    base_ms = min(max(waited_ms // 4, MIN_DEFERRAL_MS), MAX_DEFERRAL_MS)
    return round(base_ms * (0.5 + jitter))


class PhotoFetch:
    """The work on one claim of a photo; parameters as `Attempt`."""

    def __init__(self, runtime: Runtime, claim: Claim, lease: Lease, claimed_at: float) -> None:
        self._runtime = runtime
        self._claim = claim
        self._recorder = AttemptRecorder(runtime.claims, claim, lease, claimed_at)

    async def run(self) -> None:
        """Fetch the photo; every end but a lost claim is recorded."""
        try:
            await self._fetch()
        except asyncio.CancelledError:
            # The process shuts down, or the claim is lost: then this changes nothing.
            await asyncio.shield(self._wait("interrupted", 0))
            raise
        except OriginBusy:
            job = self._claim.job
            waited_ms = self._claim.claimed_ms - max(job.created_ms, job.run_at_ms)
            await self._wait("photo", deferral_ms(waited_ms, random.random()))
        except OutOfMemoryError:
            await self._wait("store_full", STORE_FULL_RETRY_MS)
        except RedisError:
            # Nothing can be recorded: the lease expires and another worker fetches again.
            raise
        except Unreadable:
            await self._wait(TEXT_UNREADABLE, UNKNOWN_CONFIG_MS)
        except Exception as error:  # noqa: BLE001 - every error is classified
            await self._handle_error(error)

    async def _fetch(self) -> None:
        if not self._claim.text:
            raise ClassifiedError(_GONE)
        photo = await self._runtime.photo_fetcher.fetch(self._claim.text)
        await self._recorder.store_photo(self._runtime.photos, photo)

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

    async def _wait(self, why: str, after_ms: int) -> None:
        """Give the photo back for what is not the job's doing."""
        await self._recorder.release(Release(Status.WAITING, why, after_ms=after_ms, charge="free"))
