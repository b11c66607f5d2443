"""Reading jobs and events: one round trip each, newest first, a page at a time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

import redis.asyncio as aredis

from service.jobs.body_compression import decompress
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.hash_encoding import fields_of
from service.jobs.lua.queue_positions import PositionReply, queue_positions
from service.jobs.lua.runner import Scripts
from service.jobs.model import Status
from service.jobs.records import EventRecord, JobRecord, QueuePosition
from service.jobs.timeline import JobHistory, timeline_entry
from service.redis.decoding import decode_fields

#: How many index entries one page may look at while it filters.
MAX_SCANNED: Final = 2_000
#: How many of them are looked at in one round trip.
_STRIDE: Final = 100


@dataclass(frozen=True)
class JobFilter:
    """Which jobs to list; None means any."""

    status: Status | None = None
    account: str | None = None
    kind: str | None = None

    def index(self) -> str:
        """The narrowest index that holds all of them."""
        if self.status is not None:
            return f"hg:jobs:status:{self.status}"
        if self.account is not None:
            return f"hg:jobs:account:{self.account}"
        if self.kind is not None:
            return f"hg:jobs:kind:{self.kind}"
        return "hg:jobs"

    def matches(self, job: JobRecord) -> bool:
        """Whether a job is one of them."""
        return self.matches_labels(str(job.status), job.account, job.kind)

    def matches_labels(self, *labels: str) -> bool:
        """Whether a job of this status, account and kind is one of them."""
        wishes = (self.status, self.account, self.kind)
        return all(wish in (None, label) for wish, label in zip(wishes, labels, strict=True))

    @property
    def is_narrow(self) -> bool:
        """Whether its index holds others, too."""
        return sum(wish is not None for wish in (self.status, self.account, self.kind)) > 1


@dataclass(frozen=True)
class Page:
    """A page of a list.

    Parameters:
      items: What is on it.
      next: The cursor of the next one; None at the end.
    """

    items: Sequence[Any]
    next: int | None


class JobQueries:
    """Reads the ledger.

    Parameters:
      client: The event loop's Redis client.
      script_config: With the limits that tell what jobs wait for.
    """

    def __init__(self, client: aredis.Redis, script_config: ScriptConfig) -> None:
        self._client = client
        self._scripts = Scripts(client, script_config)

    async def job(self, job_id: str) -> dict[str, Any] | None:
        """One job as the API shows it; None when it is not known (any more)."""
        found = await self.records([job_id])
        return (await self.to_public(found))[0] if found else None

    async def jobs(self, only: JobFilter, *, cursor: int | None, limit: int) -> Page:
        """A page of jobs, newest first.

        Parameters:
          only: Which ones.
          cursor: Where the last page ended; None for the newest.
          limit: The most on the page. Fewer may stand on it though more follow.
        """
        items: list[JobRecord] = []
        scanned, edge, stride = 0, cursor, max(limit, _STRIDE) if only.is_narrow else limit
        while scanned < MAX_SCANNED:
            batch = await newest_members(self._client, only.index(), edge, stride)
            ids = [job_id.decode() for job_id, _ in batch]
            for record in await self.records(await self._labelled(only, ids)):
                if only.matches(record):
                    items.append(record)
                    if len(items) == limit:
                        return Page(await self.to_public(items), record.seq)
            if len(batch) < stride:
                return Page(await self.to_public(items), None)
            scanned += len(batch)
            edge = batch[-1][1]
        return Page(await self.to_public(items), edge)

    async def _labelled(self, only: JobFilter, ids: Sequence[str]) -> list[str]:
        """Those that are asked for; looked up where their index does not tell."""
        if not only.is_narrow:
            return list(ids)
        async with self._pipeline() as pipe:
            for job_id in ids:
                pipe.hmget(f"hg:job:{job_id}", "status", "account", "kind")
            found = await pipe.execute()
        return [
            job_id
            for job_id, labels in zip(ids, found, strict=True)
            if only.matches_labels(*((label or b"").decode() for label in labels))
        ]

    async def records(self, job_ids: Sequence[str]) -> list[JobRecord]:
        """The records of those jobs that are known, in the order asked."""
        async with self._pipeline() as pipe:
            for job_id in job_ids:
                pipe.hgetall(f"hg:job:{job_id}")
            found = await pipe.execute()
        return [
            JobRecord.of(job_id, fields_of(fields))
            for job_id, fields in zip(job_ids, found, strict=True)
            if fields
        ]

    async def to_public(self, records: Sequence[JobRecord]) -> list[dict[str, Any]]:
        """Jobs as the API shows them; those in line with what they wait for, and their place."""
        waiting = [record for record in records if record.status is Status.WAITING]
        if not waiting:
            return [record.public() for record in records]
        asked = ((each.id, each.account, each.sub_queue, each.kind) for each in waiting)
        positions = await self._scripts.run(queue_positions(*asked))
        found = dict(_known(waiting, positions))
        return [record.public(found.get(record.id)) for record in records]

    async def timeline(self, job_id: str) -> list[dict[str, Any]]:
        """Every change of a job's state, oldest first (the last 200)."""
        lines = await cast(
            "Awaitable[list[bytes]]", self._client.lrange(f"hg:jobtl:{job_id}", 0, -1)
        )
        return [_told(line) for line in lines]

    async def history(self, job_id: str) -> JobHistory | None:
        """A job with its timeline, both of one moment; None when it is not known (any more)."""
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hgetall(f"hg:job:{job_id}")
            pipe.lrange(f"hg:jobtl:{job_id}", 0, -1)
            fields, lines = await pipe.execute()
        if not fields:
            return None
        return JobHistory(JobRecord.of(job_id, fields_of(fields)), [_told(line) for line in lines])

    async def events_named(self, event_id: str) -> list[EventRecord]:
        """Every event of that id, whatever source it came through."""
        sources = await cast("Awaitable[set[bytes]]", self._client.smembers("hg:sources"))
        async with self._pipeline() as pipe:
            for source in sorted(sources):
                pipe.hgetall(f"hg:event:{source.decode()}:{event_id}")
            found = await pipe.execute()
        return [EventRecord.of(decode_fields(fields)) for fields in found if fields]

    async def event_body(self, source: str, event_id: str) -> bytes | None:
        """The raw bytes of an event; None once they are no longer kept."""
        packed = await self._client.get(f"hg:eventbody:{source}:{event_id}")
        return None if packed is None else decompress(cast(bytes, packed))

    async def events(self, *, cursor: int | None, limit: int) -> Page:
        """A page of events, newest first."""
        batch = await newest_members(self._client, "hg:events", cursor, limit)
        async with self._pipeline() as pipe:
            for member, _ in batch:
                pipe.hgetall(b"hg:event:" + member)
            found = [decode_fields(fields) for fields in await pipe.execute() if fields]
        edge = batch[-1][1] if len(batch) == limit else None
        return Page([EventRecord.of(fields).public() for fields in found], edge)

    @asynccontextmanager
    async def _pipeline(self) -> AsyncIterator[Any]:
        async with self._client.pipeline(transaction=False) as pipe:
            yield pipe


async def newest_members(
    client: aredis.Redis, index: str, before: int | None, limit: int
) -> list[tuple[bytes, int]]:
    """The newest members of an index, with their seq.

    Parameters:
      client: The event loop's Redis client.
      index: A zset of seq -> member.
      before: Only what is older than this seq; None for all.
      limit: The most to return.
    """
    entries = await client.zrange(
        index,
        cast("int", "+inf" if before is None else f"({before}"),
        cast("int", "-inf"),
        desc=True,
        byscore=True,
        offset=0,
        num=limit,
        withscores=True,
    )
    return [(member, int(score)) for member, score in cast("list[tuple[bytes, float]]", entries)]


def _known(
    records: Sequence[JobRecord], positions: Sequence[PositionReply | None]
) -> Iterator[tuple[str, QueuePosition]]:
    for record, reply in zip(records, positions, strict=True):
        if reply is not None:
            ends_ms = reply.export_ends_ms
            yield record.id, QueuePosition(reply.reason, reply.until_ms, reply.place, ends_ms)


def _told(line: bytes) -> dict[str, Any]:
    # A release before this one wrote JSON.
    words = json.loads(line) if line.startswith(b"[") else line.decode().split("\t", 3)
    at, status, who, why = words
    return timeline_entry(int(at), status, who, why)
