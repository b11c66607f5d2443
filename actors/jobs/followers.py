"""Walks over followers, one page a claim: what was read is kept before the next is asked for."""

from __future__ import annotations

from typing import Final

from redis.exceptions import OutOfMemoryError

from actors.instagram.gateway import Gateway
from actors.jobs.attempt import perform
from actors.jobs.read_attempt import Reading
from actors.runtime import Runtime
from service.followers.rows import MOST_ROWS, Pages, parcels
from service.jobs.claims import Found
from service.jobs.model import Status

#: From a page that the store had no room for until it is read again.
FULL_MS: Final = 60_000


async def walk_on(runtime: Runtime, job_id: str) -> None:
    """Read the next page of a walk, if its turn has come; parameters as `perform`."""
    await perform(runtime, job_id, WalkOn)


class WalkOn(Reading):
    """The work on one claim of a walk: at first whose it is, then a page; charged at the claim."""

    async def _read(self, gateway: Gateway) -> None:
        found = await (self._page(gateway) if self._claim.job.pk else self._begin(gateway))
        try:
            await self._steps.page(found)
        except OutOfMemoryError:
            # Others need the account's turn meanwhile.
            await self._steps.release(Status.WAITING, "store_full", after_ms=FULL_MS, charge="free")

    async def _begin(self, gateway: Gateway) -> Found:
        profile = await gateway.profile(self._claim.job.to)
        expected: int | None = profile[f"{_counted(self._claim.job.kind)}_count"]
        return Found(profile["pk"], expected or 0, last=expected == 0)

    async def _page(self, gateway: Gateway) -> Found:
        job = self._claim.job
        page = await gateway.crowd(job.pk, job.kind, job.cursor)
        left = (job.most or MOST_ROWS) - job.users
        new = (await Pages(self._runtime.client).unseen(job.id, page.rows))[:left]
        last = not page.cursor or len(new) == left
        return Found(job.pk, job.expected, parcels(new), "" if last else page.cursor, last)


def _counted(kind: str) -> str:
    return "follower" if kind == "followers" else "following"
