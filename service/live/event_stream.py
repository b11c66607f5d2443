"""The feed: every entry of every timeline as it is written, and how far long jobs have come.

One stream in Redis, written by the scripts in the step that they tell of (scripts/lib/ledger.lua).
It holds the latest few thousand entries.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import redis.asyncio as aredis
from redis.exceptions import ResponseError

from service.jobs.model import FINAL
from service.jobs.records import rfc3339
from service.jobs.timeline import EventName, LiveUpdate, dumps, timeline_entry
from service.redis.decoding import decode_fields

STREAM_KEY: Final = "hg:feed"
#: Before everything.
START: Final = "0-0"


@dataclass(frozen=True)
class StreamEntry:
    """An entry of the feed.

    Parameters:
      position: Its place in the feed.
      job_id: The job it tells of.
      number: Its place in the job's timeline, from 1; 0 for what is not in it.
      event: What it is.
      data: JSON, in one line.
      whole: Whether the data has all there is to tell of it.
    """

    position: str
    job_id: str
    number: int
    event: EventName
    data: str
    is_complete: bool = True

    @classmethod
    def of(cls, position: str, fields: Mapping[str, str]) -> StreamEntry | None:
        """Read an entry; None for what only a newer release understands.

        Parameters:
          position: Its place in the feed.
          fields: As the scripts wrote them.
        """
        try:
            return (
                cls._change(position, fields) if "n" in fields else cls._progress(position, fields)
            )
        except (KeyError, ValueError):
            return None

    @classmethod
    def _change(cls, position: str, fields: Mapping[str, str]) -> StreamEntry:
        job_id, ended = fields["job"], fields["to"] in FINAL
        line = timeline_entry(int(fields["at"]), fields["to"], fields["by"], fields["why"])
        if ended:
            line |= _outcome(job_id, fields)
        number, whole = int(fields["n"]), not ended or "result" in fields
        event: EventName = "end" if ended else "change"
        return cls(position, job_id, number, event, dumps({"id": job_id, **line}), whole)

    @classmethod
    def _progress(cls, position: str, fields: Mapping[str, str]) -> StreamEntry:
        job_id = fields["job"]
        news = {"at": rfc3339(int(fields["at"])), "progress": json.loads(fields["progress"])}
        return cls(position, job_id, 0, "progress", dumps({"id": job_id, **news}))

    @cached_property
    def order(self) -> tuple[int, int]:
        """Its position, to compare."""
        return sort_key(self.position)

    @cached_property
    def as_feed_update(self) -> LiveUpdate:
        """As those hear it who listen to everything."""
        return LiveUpdate(self.event, self.position, self.data)

    @cached_property
    def as_job_update(self) -> LiveUpdate:
        """As those hear it who listen to its job."""
        return LiveUpdate(self.event, str(self.number) if self.number else None, self.data)


def sort_key(position: str) -> tuple[int, int]:
    """A position of the feed, to compare.

    Parameters:
      position: As Redis names it: `ms-number`.
    """
    ms, _, number = position.partition("-")
    return int(ms), int(number)


class JobEventStream:
    """Reads the feed.

    Parameters:
      client: The event loop's Redis client.
    """

    def __init__(self, client: aredis.Redis) -> None:
        self._client: Any = client

    async def last_position(self) -> str:
        """Where it ends now."""
        newest = await self._client.xrevrange(STREAM_KEY, count=1)
        return newest[0][0].decode() if newest else START

    async def read_after(self, position: str, count: int) -> list[tuple[str, StreamEntry | None]]:
        """What came after a position, oldest first, by position.

        Parameters:
          position: Where to begin, itself left out.
          count: The most to return.
        """
        return _read(await self._client.xrange(STREAM_KEY, min=f"({position}", count=count))

    async def wait_after(
        self, position: str, count: int, ms: int
    ) -> list[tuple[str, StreamEntry | None]]:
        """The same; where there is nothing yet, wait for it.

        Parameters:
          position: Where to begin, itself left out.
          count: The most to return.
          ms: How long to wait.
        """
        found = await self._client.xread({STREAM_KEY: position}, count=count, block=ms)
        return _read(found[0][1]) if found else []

    async def is_complete_after(self, position: str) -> bool:
        """Whether everything that came after a position is still there.

        Parameters:
          position: As told by this feed; one that it has not reached is another feed's.
        """
        try:
            state = await self._client.xinfo_stream(STREAM_KEY)
        except ResponseError:  # there is none yet
            return position == START
        newest, oldest = state["last-generated-id"], START
        if state["entries-added"] != state["length"]:
            first = state["first-entry"]
            oldest = (first[0] if first else newest).decode()
        return sort_key(oldest) <= sort_key(position) <= sort_key(newest.decode())


def _read(
    found: Sequence[tuple[bytes, Mapping[bytes, bytes]]],
) -> list[tuple[str, StreamEntry | None]]:
    read = ((position.decode(), decode_fields(fields)) for position, fields in found)
    return [(position, StreamEntry.of(position, fields)) for position, fields in read]


def _outcome(job_id: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """What a job ended with; where it is too long for the feed, where to find it."""
    if "result" not in fields:
        return {"result": None, "error": None, "job_url": f"/jobs/{job_id}"}
    return {name: json.loads(fields[name] or "null") for name in ("result", "error")}
