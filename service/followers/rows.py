"""The rows of a follower export: stored in batches, readable from any row while it still runs."""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from typing import Any, Final, cast

import redis.asyncio as aredis

from service.jobs.follower_page import RowBatch

#: The most rows of one export: its user ids are a set in Redis while it runs.
MAX_ROWS: Final = 10_000_000
#: The most rows in a batch: as many as Instagram puts on a page. Readers and writers handle one
#: batch at a time, however long a page is.
BATCH_ROWS: Final = 200
#: Batches read at once; more would pile up in memory behind a slow client.
READ_BATCHES: Final = 4

Row = Mapping[str, Any]


class RowsExpired(Exception):
    """The rows of an export are no longer stored."""


def row_batches(rows: Sequence[Row]) -> list[RowBatch]:
    """Split and compress the rows of a page.

    Parameters:
      rows: In order; each has a `pk`.
    """
    parts = (rows[at : at + BATCH_ROWS] for at in range(0, len(rows), BATCH_ROWS))
    return [RowBatch(tuple(row["pk"] for row in part), pack(part)) for part in parts]


def pack(rows: Sequence[Row]) -> bytes:
    """Compress the rows of a batch; `unpack` reads them."""
    # Plain ASCII: names may contain characters that some readers treat as line ends (U+2028,
    # U+0085).
    lines = (json.dumps(row, separators=(",", ":")) for row in rows)
    return zlib.compress("\n".join(lines).encode(), 6)


def unpack(packed: bytes) -> list[bytes]:
    """The rows of a batch, each a line of JSON without its line end."""
    return zlib.decompress(packed).split(b"\n")


class FollowerRows:
    """Reads the rows of exports.

    Parameters:
      client: The event loop's Redis client.
    """

    def __init__(self, client: aredis.Redis) -> None:
        self._client = client

    async def deduplicate(self, job_id: str, rows: Sequence[Row]) -> list[Row]:
        """The rows of a page that the export does not have yet, each once, in order.

        The answer stays true until the page is appended: only the holder of the latest claim can
        append, so nothing is added in between.

        Parameters:
          job_id: The export.
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

    async def are_stored(self, job_id: str) -> bool:
        """Whether the rows of an export are still stored."""
        return bool(await self._client.exists(_rows(job_id)))

    async def rows(self, job_id: str, start: int, end: int) -> AsyncGenerator[list[bytes], None]:
        """Stored rows, a batch at a time.

        Parameters:
          job_id: The export.
          start: The first row, from 0.
          end: The row to stop before; there must be as many.

        Raises:
          RowsExpired: Some of them are no longer stored.
        """
        at, batch_start = start, await self._batch_of(job_id, start)
        while at < end:
            batches = await self._range(job_id, batch_start, "+inf", READ_BATCHES)
            for first_row, packed in batches:
                rows = unpack(packed)[max(0, at - first_row) : end - first_row]
                if first_row > at or not rows:
                    raise RowsExpired(job_id)
                yield rows
                at = batch_start = at + len(rows)
                if at >= end:
                    return
            if not batches:
                raise RowsExpired(job_id)

    async def _batch_of(self, job_id: str, row: int) -> int:
        """The first row of the batch that holds a row."""
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
