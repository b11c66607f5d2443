"""The job event stream: every timeline entry as it is written, and the progress of long jobs.

One Redis stream, written by the ledger's scripts in the step that an entry describes
(`jobs/lua/lib/records.lua`). It holds the latest few thousand entries.
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
from service.jobs.stored_names import public_error
from service.jobs.timeline import EventName, LiveUpdate, dumps, timeline_entry
from service.redis.decoding import decode_fields
from service.time_formats.timestamps import rfc3339

STREAM_KEY: Final = "hg:feed"
#: The position before the first entry.
START: Final = "0-0"


@dataclass(frozen=True)
class StreamEntry:
    """One entry of the stream.

    Parameters:
      position: Its stream id, `ms-number`.
      job_id: The job.
      number: Its number in the job's timeline, from 1; 0 for progress, which is not in it.
      event: Its type.
      data: One line of JSON.
      is_complete: False when the outcome was too long for the stream and must be read elsewhere.
    """

    position: str
    job_id: str
    number: int
    event: EventName
    data: str
    is_complete: bool = True

    @classmethod
    def of(cls, position: str, fields: Mapping[str, str]) -> StreamEntry | None:
        """Parse an entry as the scripts wrote it; None for one only a newer release understands."""
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
        update = {"at": rfc3339(int(fields["at"])), "progress": json.loads(fields["progress"])}
        return cls(position, job_id, 0, "progress", dumps({"id": job_id, **update}))

    @cached_property
    def order(self) -> tuple[int, int]:
        """The position as a sort key."""
        return sort_key(self.position)

    @cached_property
    def as_feed_update(self) -> LiveUpdate:
        """The update for subscribers of all jobs; its id is the position."""
        return LiveUpdate(self.event, self.position, self.data)

    @cached_property
    def as_job_update(self) -> LiveUpdate:
        """The update for subscribers of this job; its id is the timeline number."""
        return LiveUpdate(self.event, str(self.number) if self.number else None, self.data)


def sort_key(position: str) -> tuple[int, int]:
    """A stream position (`ms-number`) as a sort key."""
    ms, _, number = position.partition("-")
    return int(ms), int(number)


class JobEventStream:
    """Reads the job event stream.

    Parameters:
      client: The event loop's Redis client.
    """

    def __init__(self, client: aredis.Redis) -> None:
        self._client: Any = client

    async def last_position(self) -> str:
        """The position of the newest entry; `START` when there is none."""
        newest = await self._client.xrevrange(STREAM_KEY, count=1)
        return newest[0][0].decode() if newest else START

    async def read_after(self, position: str, count: int) -> list[tuple[str, StreamEntry | None]]:
        """Read entries with their positions, oldest first.

        Parameters:
          position: Read after this one.
          count: The most to return.
        """
        return _read(await self._client.xrange(STREAM_KEY, min=f"({position}", count=count))

    async def wait_after(
        self, position: str, count: int, ms: int
    ) -> list[tuple[str, StreamEntry | None]]:
        """Read entries as `read_after` does, waiting for the first one.

        Parameters:
          position: Read after this one.
          count: The most to return.
          ms: The longest wait.
        """
        found = await self._client.xread({STREAM_KEY: position}, count=count, block=ms)
        return _read(found[0][1]) if found else []

    async def is_complete_after(self, position: str) -> bool:
        """Whether every entry after a position is still stored.

        Parameters:
          position: One that this stream gave out. A position it has not reached yet belongs to
            another stream, for which the answer is no.
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
    """A job's result and error; where to read them if they are too long for the stream."""
    if "result" not in fields:
        return {"result": None, "error": None, "job_url": f"/jobs/{job_id}"}
    result, error = (json.loads(fields[name] or "null") for name in ("result", "error"))
    return {"result": result, "error": public_error(error)}
