"""Reads jobs and events; lists are newest first, a page at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import redis.asyncio as aredis

from service.encryption.cipher import Cipher
from service.jobs.body_compression import decompress
from service.jobs.job_text import read_text
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.hash_encoding import fields_of
from service.jobs.lua.queue_positions import PositionReply, queue_positions
from service.jobs.lua.runner import Scripts
from service.jobs.model import Status
from service.jobs.records import EventRecord, JobRecord, QueuePosition, body_place
from service.jobs.timeline import JobHistory, parse_timeline_entry
from service.redis.decoding import decode_fields


@dataclass(frozen=True)
class Page:
    """A page of a list; `next` is the cursor of the next page, None at the end."""

    items: Sequence[Any]
    next: int | None


class JobQueries:
    """Reads the ledger.

    Parameters:
      client: The event loop's Redis client.
      script_config: Leases, retention and limits.
      cipher: Decrypts bodies and texts.
    """

    def __init__(self, client: aredis.Redis, script_config: ScriptConfig, cipher: Cipher) -> None:
        self._cipher = cipher
        self._client = client
        self._scripts = Scripts(client, script_config)

    async def job(self, job_id: str) -> dict[str, Any] | None:
        """A job as the API shows it; None if it is unknown or pruned."""
        records = await self.records([job_id])
        return (await self.to_public(records))[0] if records else None

    async def records(self, job_ids: Sequence[str]) -> list[JobRecord]:
        """The records of those jobs that are stored, in the given order."""
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
        """Jobs as the API shows them; waiting ones with the reason and their queue position."""
        waiting = [record for record in records if record.status is Status.WAITING]
        if not waiting:
            return [record.public() for record in records]
        jobs = ((job.id, job.account, job.sub_queue, job.kind) for job in waiting)
        replies = await self._scripts.run(queue_positions(*jobs))
        positions = dict(_positions(waiting, replies))
        return [record.public(positions.get(record.id)) for record in records]

    async def timeline(self, job_id: str) -> list[dict[str, Any]]:
        """The last 200 entries of a job's timeline, oldest first."""
        lines = await cast(
            "Awaitable[list[bytes]]", self._client.lrange(f"hg:jobtl:{job_id}", 0, -1)
        )
        return [parse_timeline_entry(line) for line in lines]

    async def history(self, job_id: str) -> JobHistory | None:
        """A job with its timeline, read in one step; None if it is unknown or pruned."""
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hgetall(f"hg:job:{job_id}")
            pipe.lrange(f"hg:jobtl:{job_id}", 0, -1)
            fields, lines = await pipe.execute()
        if not fields:
            return None
        return JobHistory(
            JobRecord.of(job_id, fields_of(fields)), [parse_timeline_entry(line) for line in lines]
        )

    async def events_with_id(self, event_id: str) -> list[EventRecord]:
        """The events with this id, one per source at most."""
        sources = await cast("Awaitable[set[bytes]]", self._client.smembers("hg:sources"))
        async with self._pipeline() as pipe:
            for source in sorted(sources):
                pipe.hgetall(f"hg:event:{source.decode()}:{event_id}")
            found = await pipe.execute()
        return [EventRecord.of(decode_fields(fields)) for fields in found if fields]

    async def event_body(self, source: str, event_id: str) -> bytes | None:
        """The raw bytes of an event; None if they are not stored any more.

        Raises:
          Unreadable: They cannot be decrypted.
        """
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hgetall(f"hg:event:{source}:{event_id}")
            pipe.mget(f"hg:encbody:{source}:{event_id}", f"hg:eventbody:{source}:{event_id}")
            fields, (encrypted, plain) = await pipe.execute()
        # Where an older release has stored another shape of the event, its body is the newer one.
        stored = plain or encrypted
        if not fields or stored is None:
            return None
        return decompress(self._cipher.decrypt(stored, body_place(decode_fields(fields))))

    async def job_text(self, job_id: str) -> str | None:
        """The text of a job, or the URL of its photo; None if it is not stored any more.

        Raises:
          Unreadable: It cannot be decrypted.
        """
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hgetall(f"hg:job:{job_id}")
            pipe.get(f"hg:jobtext:{job_id}")
            fields, stored = await pipe.execute()
        if not fields or stored is None:
            return None
        return read_text(job_id, fields_of(fields), stored.decode(), self._cipher)

    async def events_of(self, members: Sequence[str]) -> list[EventRecord]:
        """Those of some events (each `source:id`) that are stored, in the given order."""
        async with self._pipeline() as pipe:
            for member in members:
                pipe.hgetall(f"hg:event:{member}")
            found = await pipe.execute()
        return [EventRecord.of(decode_fields(fields)) for fields in found if fields]

    @asynccontextmanager
    async def _pipeline(self) -> AsyncIterator[Any]:
        async with self._client.pipeline(transaction=False) as pipe:
            yield pipe


async def newest_members(
    client: aredis.Redis, index: str, before: int | None, limit: int
) -> list[tuple[bytes, int]]:
    """The newest members of an index, with their sequence numbers.

    Parameters:
      index: A zset whose scores are sequence numbers.
      before: Only members with a smaller sequence number; None for all.
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


async def oldest_members(
    client: aredis.Redis, index: str, after: int, limit: int
) -> list[tuple[str, int]]:
    """The oldest members of an index, with their sequence numbers.

    Parameters:
      index: A zset whose scores are sequence numbers.
      after: Only members with a greater sequence number.
    """
    entries = await client.zrange(
        index,
        cast("int", f"({after}"),
        cast("int", "+inf"),
        byscore=True,
        offset=0,
        num=limit,
        withscores=True,
    )
    rows = cast("list[tuple[bytes, float]]", entries)
    return [(member.decode(), int(score)) for member, score in rows]


def _positions(
    records: Sequence[JobRecord], positions: Sequence[PositionReply | None]
) -> Iterator[tuple[str, QueuePosition]]:
    for record, reply in zip(records, positions, strict=True):
        if reply is not None:
            eta_ms = reply.export_ends_ms
            yield record.id, QueuePosition(reply.reason, reply.until_ms, reply.place, eta_ms)
