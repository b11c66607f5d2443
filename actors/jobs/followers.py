"""Follower exports, one page per claim: a page is stored before the next one is requested."""

from __future__ import annotations

from typing import Final

from redis.exceptions import OutOfMemoryError

from actors.instagram.gateway import Gateway
from actors.jobs.attempt import perform
from actors.jobs.next_steps import Release
from actors.jobs.read_attempt import ReadAttempt
from actors.runtime import Runtime
from service.followers.rows import MAX_ROWS, FollowerRows, row_batches
from service.jobs.follower_page import FollowerPage
from service.jobs.lua.append_follower_page import Remainder
from service.jobs.model import Status

#: After Redis had no memory for a page, the wait until it is read again.
STORE_FULL_RETRY_MS: Final = 60_000


async def read_follower_page(runtime: Runtime, job_id: str) -> None:
    """Read the next page of a follower export, if it is due; parameters as `perform`."""
    await perform(runtime, job_id, FollowerPageAttempt)


class FollowerPageAttempt(ReadAttempt):
    """The work on one claim of a follower export: the user's id first, then a page per claim."""

    async def _read(self, gateway: Gateway) -> None:
        page = await (self._page(gateway) if self._claim.job.pk else self._resolve_user(gateway))
        try:
            await self._recorder.append_follower_page(page)
        except OutOfMemoryError:
            # Gives up the account's turn, which other jobs need meanwhile.
            await self._recorder.release(
                Release(Status.WAITING, "store_full", after_ms=STORE_FULL_RETRY_MS, charge="free")
            )

    async def _resolve_user(self, gateway: Gateway) -> FollowerPage:
        profile = await gateway.profile(self._claim.job.to)
        expected: int | None = profile[_count_field(self._claim.job.kind)]
        return FollowerPage(
            profile["pk"], expected or 0, remainder="none" if expected == 0 else "wanted"
        )

    async def _page(self, gateway: Gateway) -> FollowerPage:
        job = self._claim.job
        page = await gateway.follower_page(job.pk, job.kind, job.cursor)
        room = (job.max_rows or MAX_ROWS) - job.users
        new = await FollowerRows(self._runtime.client).deduplicate(job.id, page.rows)
        remainder = _remainder(len(new), room, page.cursor)
        return FollowerPage(
            job.pk,
            job.expected,
            row_batches(new[:room]),
            page.cursor if remainder == "wanted" else "",
            remainder,
            page.dropped,
            page.limited,
        )


def _remainder(new_rows: int, room: int, cursor: str) -> Remainder:
    if new_rows > room or (new_rows == room and cursor):
        return "unwanted"
    return "wanted" if cursor else "none"


def _count_field(kind: str) -> str:
    return "follower_count" if kind == "followers" else "following_count"
