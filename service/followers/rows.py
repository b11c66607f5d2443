"""The rows of a walk: packed some at a time, read from any row on while the walk still runs."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from typing import Any, Final, cast

import redis.asyncio as aredis

from service.jobs.claims import RowBatch

#: The most rows of one walk: its pks are a set in the store while it runs.
MAX_ROWS: Final = 10_000_000
#: The most rows in a parcel: as many as Instagram puts on a page. What reads and what writes
#: handles a parcel at a time, however long a page is.
BATCH_ROWS: Final = 200
#: How many parcels are in memory at a time, here and on their way to who reads slowly.
AT_A_TIME: Final = 4

Row = Mapping[str, Any]


class RowsExpired(Exception):
    """Rows that a walk had found are no longer kept."""


def row_batches(rows: Sequence[Row]) -> list[RowBatch]:
    """Pack the rows of a page.

    Parameters:
      rows: In order; each with a `pk`.
    """
    parts = (rows[at : at + BATCH_ROWS] for at in range(0, len(rows), BATCH_ROWS))
    return [RowBatch(tuple(row["pk"] for row in part), _pack(part)) for part in parts]


def _pack(rows: Sequence[Row]) -> bytes:
    # Plain ASCII: a name may hold what some readers take for the end of a line (U+2028, U+0085).
    lines = (json.dumps(row, separators=(",", ":")) for row in rows)
    return zlib.compress("\n".join(lines).encode(), 6)


def unpack(packed: bytes) -> list[bytes]:
    """The rows of a parcel, each as a line of JSON without its end."""
    return zlib.decompress(packed).split(b"\n")


class FollowerRows:
    """Reads what walks have found, and says what is new to them.

    Parameters:
      client: The event loop's Redis client.
    """

    def __init__(self, client: aredis.Redis) -> None:
        self._client = client

    async def deduplicate(self, job_id: str, rows: Sequence[Row]) -> list[Row]:
        """Those of a page that the walk has not found yet, each once, in order.

        Nothing is added to what it has found before the page is taken in, and that needs a claim
        later than every other: so what is new now is new then.

        Parameters:
          job_id: The walk.
          rows: The page.
        """
        first: dict[str, Row] = {}
        for row in rows:
            first.setdefault(row["pk"], row)
        wanted = list(first.values())
        if not wanted:
            return []
        pks = [row["pk"] for row in wanted]
        known = await cast("Awaitable[list[int]]", self._client.smismember(_walked(job_id), pks))
        return [row for row, seen in zip(wanted, known, strict=True) if not seen]

    async def are_kept(self, job_id: str) -> bool:
        """Whether what a walk has found is there."""
        return bool(await self._client.exists(_rows(job_id)))

    async def rows(self, job_id: str, start: int, end: int) -> AsyncGenerator[list[bytes], None]:
        """Rows that the walk has found, some at a time.

        Parameters:
          job_id: The walk.
          start: How many rows to leave out.
          end: The row to end before; there must be as many.

        Raises:
          RowsGone: They are no longer all there.
        """
        at, parcel = start, await self._parcel_of(job_id, start)
        while at < end:
            found = await self._range(job_id, parcel, "+inf", AT_A_TIME)
            for begins, packed in found:
                given = unpack(packed)[max(0, at - begins) : end - begins]
                if begins > at or not given:
                    raise RowsExpired(job_id)
                yield given
                at = parcel = at + len(given)
                if at >= end:
                    return
            if not found:
                raise RowsExpired(job_id)

    async def _parcel_of(self, job_id: str, row: int) -> int:
        """Where the parcel begins that holds a row."""
        found = await self._range(job_id, row, "-inf", 1, desc=True)
        return found[0][0] if found else row

    async def _range(
        self, job_id: str, first: int, last: str, count: int, *, desc: bool = False
    ) -> list[tuple[int, bytes]]:
        entries = await self._client.zrange(
            _rows(job_id),
            first,
            cast("int", last),
            desc=desc,
            byscore=True,
            offset=0,
            num=count,
            withscores=True,
        )
        members = cast("list[tuple[bytes, float]]", entries)
        return [(int(score), member.partition(b":")[2]) for member, score in members]


def _rows(job_id: str) -> str:
    return f"hg:rows:{job_id}"


def _walked(job_id: str) -> str:
    return f"hg:walked:{job_id}"
