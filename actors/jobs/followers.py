"""Walks over followers, one page a claim: what was read is kept before the next is asked for."""

from __future__ import annotations

from typing import Final

from redis.exceptions import OutOfMemoryError

from actors.instagram.gateway import Gateway
from actors.jobs.attempt import perform
from actors.jobs.read_attempt import ReadAttempt
from actors.runtime import Runtime
from service.followers.rows import MAX_ROWS, FollowerRows, row_batches
from service.jobs.claims import FollowerPage
from service.jobs.model import Status

#: From a page that the store had no room for until it is read again.
STORE_FULL_RETRY_MS: Final = 60_000


async def read_follower_page(runtime: Runtime, job_id: str) -> None:
    """Read the next page of a walk, if its turn has come; parameters as `perform`."""
    await perform(runtime, job_id, FollowerPageAttempt)


class FollowerPageAttempt(ReadAttempt):
    """The work on one claim of a walk: at first whose it is, then a page; charged at the claim."""

    async def _read(self, gateway: Gateway) -> None:
        found = await (self._page(gateway) if self._claim.job.pk else self._resolve_user(gateway))
        try:
            await self._recorder.append_follower_page(found)
        except OutOfMemoryError:
            # Others need the account's turn meanwhile.
            await self._recorder.release(
                Status.WAITING, "store_full", after_ms=STORE_FULL_RETRY_MS, charge="free"
            )

    async def _resolve_user(self, gateway: Gateway) -> FollowerPage:
        profile = await gateway.profile(self._claim.job.to)
        expected: int | None = profile[f"{_count_field(self._claim.job.kind)}_count"]
        return FollowerPage(profile["pk"], expected or 0, last=expected == 0)

    async def _page(self, gateway: Gateway) -> FollowerPage:
        job = self._claim.job
        page = await gateway.follower_page(job.pk, job.kind, job.cursor)
        left = (job.max_rows or MAX_ROWS) - job.users
        new = (await FollowerRows(self._runtime.client).deduplicate(job.id, page.rows))[:left]
        last = not page.cursor or len(new) == left
        return FollowerPage(
            job.pk, job.expected, row_batches(new), "" if last else page.cursor, last
        )


def _count_field(kind: str) -> str:
    return "follower" if kind == "followers" else "following"
