"""The rows of a walk: packed a page at a time, read from any row on while the walk still runs."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import Any, Final, cast

import redis.asyncio as aredis

#: How many pages are in memory at a time, here and on their way to who reads slowly.
AT_A_TIME: Final = 4

Row = Mapping[str, Any]


def pack(rows: Sequence[Row]) -> bytes:
    """Make a page small.

    Parameters:
      rows: In order.
    """
    lines = (json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    return zlib.compress("\n".join(lines).encode(), 6)


def unpack(packed: bytes) -> list[bytes]:
    """The rows of a page, each as a line of JSON without its end."""
    return zlib.decompress(packed).split(b"\n")


class Pages:
    """Reads what walks have found, and says what is new to them.

    Parameters:
      client: The event loop's Redis client.
    """

    def __init__(self, client: aredis.Redis) -> None:
        self._client = client

    async def unseen(self, job_id: str, rows: Sequence[Row]) -> list[Row]:
        """Those of a page that the walk has not found yet, each once, in order.

        Parameters:
          job_id: The walk.
          rows: The page.
        """
        first = {row["pk"]: row for row in reversed(rows)}
        wanted = [row for row in rows if first.get(row["pk"]) is row]
        if not wanted:
            return []
        pks = [row["pk"] for row in wanted]
        known = await cast(
            "Awaitable[list[int]]", self._client.smismember(f"hg:walked:{job_id}", pks)
        )
        return [row for row, seen in zip(wanted, known, strict=True) if not seen]

    async def rows(self, job_id: str, cursor: int, limit: int | None) -> AsyncIterator[list[bytes]]:
        """The rows there are now, some at a time.

        Parameters:
          job_id: The walk.
          cursor: How many rows to leave out.
          limit: The most to give; None for all.
        """
        key, left = f"hg:rows:{job_id}", limit
        at: int = await self._page_of(key, cursor)
        while left is None or left > 0:
            entries = await self._client.zrange(
                key,
                at,
                cast("int", "+inf"),
                byscore=True,
                offset=0,
                num=AT_A_TIME,
                withscores=True,
            )
            for member, score in cast("list[tuple[bytes, float]]", entries):
                lines = unpack(member.partition(b":")[2])
                at = int(score) + len(lines)
                given = lines[max(0, cursor - int(score)) :][:left]
                if given:
                    yield given
                    left = None if left is None else left - len(given)
            if not entries:
                return

    async def _page_of(self, key: str, row: int) -> int:
        """Where the page begins that a row is on."""
        found = await self._client.zrange(
            key,
            row,
            cast("int", "-inf"),
            desc=True,
            byscore=True,
            offset=0,
            num=1,
            withscores=True,
        )
        return int(found[0][1]) if found else 0
