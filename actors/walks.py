"""Walks over followers, one page a claim: what was read is kept before the next is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from actors.attempt import Attempt, perform
from actors.instagram.gateway import Gateway
from actors.runtime import Runtime
from service.walks.pages import Pages, pack


async def walk_on(runtime: Runtime, job_id: str) -> None:
    """Read the next page of a walk, if its turn has come; parameters as `perform`."""
    await perform(runtime, job_id, WalkOn)


@dataclass(frozen=True)
class Found:
    """What a claim of a walk has read.

    Parameters:
      pk: Whose crowd it is.
      expected: How many rows there may be in all.
      rows: Those that are new.
      cursor: Where the next page begins; '' at the end.
      last: Whether nothing follows.
    """

    pk: str
    expected: int
    rows: Sequence[Any] = ()
    cursor: str = ""
    last: bool = False


class WalkOn(Attempt):
    """The work on one claim of a walk: at first whose it is, then a page; charged at the claim."""

    async def _act(self, gateway: Gateway) -> None:
        self._steps.prepaid_reads = 1
        found = await (self._page(gateway) if self._claim.job.pk else self._begin(gateway))
        await self._steps.page(
            pk=found.pk,
            expected=found.expected,
            packed=pack(found.rows) if found.rows else b"",
            pks=[row["pk"] for row in found.rows],
            cursor=found.cursor,
            last=found.last,
        )

    async def _begin(self, gateway: Gateway) -> Found:
        profile = await gateway.profile(self._claim.job.to)
        expected = int(profile[f"{_counted(self._claim.job.kind)}_count"])
        return Found(profile["pk"], expected, last=expected == 0)

    async def _page(self, gateway: Gateway) -> Found:
        job = self._claim.job
        rows, cursor = await gateway.crowd(job.pk, job.kind, job.cursor)
        new = await Pages(self._runtime.client).unseen(job.id, rows)
        if job.most:
            new = new[: job.most - job.users]
        full = bool(job.most) and job.users + len(new) >= job.most
        # A cursor that leads back to its own page would go on for ever.
        last = full or cursor in ("", job.cursor)
        return Found(job.pk, job.expected, new, "" if last else cursor, last)


def _counted(kind: str) -> str:
    return "follower" if kind == "followers" else "following"
