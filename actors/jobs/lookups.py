"""Lookups: a profile or a post, read once for all who request it."""

from __future__ import annotations

from typing import Any, Final

from redis.exceptions import RedisError

from actors.instagram.gateway import Gateway
from actors.jobs.attempt import perform
from actors.jobs.next_steps import Finish
from actors.jobs.read_attempt import ReadAttempt
from actors.runtime import Runtime
from service.jobs.model import Status
from service.logging.setup import get_logger

#: Clients wait for a lookup: an early error is better than a late answer.
BACKOFF_SECONDS: Final = (2, 10)

_log = get_logger(__name__)


async def run_lookup(runtime: Runtime, job_id: str) -> None:
    """Work on a lookup, if there is anything to do; parameters as `perform`."""
    await perform(runtime, job_id, LookupAttempt)


class LookupAttempt(ReadAttempt):
    """The work on one claim of a lookup."""

    backoff = BACKOFF_SECONDS

    async def _read(self, gateway: Gateway) -> None:
        post = self._claim.job.post
        found = await (gateway.post(post) if post else self._profile(gateway))
        await self._recorder.finish(Finish(Status.SUCCEEDED, result=found))

    async def _profile(self, gateway: Gateway) -> dict[str, Any]:
        name = self._claim.job.to
        profile = await gateway.profile(name)
        try:
            await self._runtime.user_ids.remember(
                name, profile["pk"], profile["username"], account=self._claim.job.account
            )
        except RedisError as error:
            # A DM to this user will look the id up itself.
            _log.warning("user id not cached", error=type(error).__name__)
        return profile
