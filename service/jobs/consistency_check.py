"""Checks the whole ledger: records match their indexes, and unfinished work will be woken.

It goes through all records and indexes, a page at a time. What must be consistent is checked in
one script, so the check can run beside the processes: the ledger may change between two pages, but
not within one.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from typing import Any, Final, Literal, TypeVar, cast

import redis.asyncio as aredis

from service.jobs.consistency_problems import Defect
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.check_consistency import check_consistency
from service.jobs.lua.runner import Scripts
from service.jobs.model import derived_id

#: The most entries checked by one script call.
PAGE: Final = 100
#: COUNT of one SCAN; most keys it steps over do not match.
_SCAN_COUNT: Final = 1_000
#: Indexes read in one round trip.
_INDEXES_PER_TRIP: Final = 20

_INDEXES: Final = (
    *(b"hg:jobs", b"hg:dlvs", b"hg:events"),
    *(b"hg:due", b"hg:wakes", b"hg:leases", b"hg:expiry"),
)
_ACCOUNT_INDEXES: Final = (b"line", b"held")
_RECORDS: Final = (
    (b"job", "hg:job:"),
    (b"delivery", "hg:dlv:"),
    (b"event", "hg:event:"),
    (b"export", "hg:rows:"),
    (b"export", "hg:walked:"),
)

#: What to check (see check_consistency.lua), and its id.
_Item = tuple[bytes, bytes]
_T = TypeVar("_T")


class ConsistencyCheck:
    """Checks the whole ledger."""

    def __init__(self, client: aredis.Redis, script_config: ScriptConfig) -> None:
        self._client = client
        self._scripts = Scripts(client, script_config)
        self._keep_ms = script_config.keep

    async def defects(self, *, repair: bool = False) -> AsyncIterator[Defect]:
        """Find inconsistencies.

        Parameters:
          repair: Repair what can be repaired; how a job ended is never changed.
        """
        action: Literal["report", "repair"] = "repair" if repair else "report"
        async for page in _batched(self._items(), PAGE):
            reply = await self._scripts.run(check_consistency(action, PAGE, *page))
            for defect in reply.problems:
                yield defect
        async for events in _batched(self._keys("hg:event:"), PAGE):
            for defect in await self._check_events(events):
                yield defect

    async def _items(self) -> AsyncIterator[_Item]:
        """All entries to check; accounts come last, when running jobs have their turns again."""
        for what, prefix in _RECORDS:
            async for key in self._keys(prefix):
                yield what, key.removeprefix(prefix.encode())
        accounts: set[bytes] = set()
        async for indexes in _batched(self._indexes(accounts), _INDEXES_PER_TRIP):
            async for item in self._members(indexes):
                yield item
        async for _, account in self._members([b"hg:turns", b"hg:alarms"]):
            accounts.add(account)
        for account in sorted(accounts):
            yield b"account", account

    async def _keys(self, prefix: str) -> AsyncIterator[bytes]:
        keys = self._client.scan_iter(f"{prefix}*", count=_SCAN_COUNT)
        async for key in cast("AsyncIterator[bytes]", keys):
            yield key

    async def _indexes(self, accounts: set[bytes]) -> AsyncIterator[bytes]:
        """Every index whose members have a record; adds accounts that have a key to `accounts`."""
        for index in _INDEXES:
            yield index
        for prefix in ("hg:jobs:", "hg:dlvs:", "hg:events:", "hg:who:"):
            async for index in self._keys(prefix):
                yield index
        async for key in self._keys("hg:acct:"):
            account, *parts = key.removeprefix(b"hg:acct:").split(b":")
            accounts.add(account)
            if parts and parts[0] in _ACCOUNT_INDEXES:
                yield key

    async def _members(self, indexes: Sequence[bytes]) -> AsyncIterator[_Item]:
        """The members of several indexes, a page of each per round trip."""
        cursors = dict.fromkeys(indexes, 0)
        while cursors:
            async with self._client.pipeline(transaction=False) as pipe:
                for index, cursor in cursors.items():
                    pipe.zscan(index, cursor, count=PAGE)
                replies = await cast("Awaitable[list[Any]]", pipe.execute())
            for index, (_, members) in zip(cursors, replies, strict=True):
                for member, _ in members:
                    yield index, member
            pages = zip(cursors, replies, strict=True)
            cursors = {index: cursor for index, (cursor, _) in pages if cursor}

    async def _check_events(self, events: Sequence[bytes]) -> list[Defect]:
        """Find jobs of these events that are missing before their retention ends.

        An event that is not finished (lua/lib/deferred_jobs.lua) is passed over.
        """
        members = [key.removeprefix(b"hg:event:") for key in events]
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.time()
            for key in events:
                pipe.hmget(key, "source", "id", "received", "jobs", "notes")
            for member in members:
                pipe.zscore("hg:unfinished", member)
            (seconds, micros), *replies = await cast("Awaitable[list[Any]]", pipe.execute())
        since_ms = seconds * 1000 + micros // 1000 - self._keep_ms
        expected: list[tuple[str, str]] = []
        broken: list[Defect] = []
        records, unfinished = replies[: len(events)], replies[len(events) :]
        for member, fields, since in zip(members, records, unfinished, strict=True):
            if since is not None:
                continue
            event = _text(member)
            try:
                expected += [(event, job_id) for job_id in _expected_jobs(fields, since_ms)]
            except (TypeError, ValueError, KeyError):
                broken.append(Defect(event, "broken record", "jobs", "lost"))
        return broken + await self._missing_jobs(expected)

    async def _missing_jobs(self, expected: list[tuple[str, str]]) -> list[Defect]:
        async with self._client.pipeline(transaction=False) as pipe:
            for _, job_id in expected:
                pipe.exists(f"hg:job:{job_id}")
            found = await cast("Awaitable[list[int]]", pipe.execute())
        return [
            Defect(event, "lost job", job_id, "lost")
            for (event, job_id), exists in zip(expected, found, strict=True)
            if not exists
        ]


def _expected_jobs(fields: Sequence[bytes | None], since_ms: int) -> Iterator[str]:
    """The jobs that an event created itself and that cannot have been pruned yet.

    The other jobs it lists were created by an earlier event with the same business key.
    """
    if not any(fields):
        return  # pruned since its key was listed
    source, event_id, received, jobs, notes = ((field or b"").decode() for field in fields)
    rules = {note["rule"] for note in json.loads(notes)}
    own_ids = {derived_id("job", source, event_id, rule) for rule in rules}
    if int(received) > since_ms:
        yield from (job_id for job_id in json.loads(jobs) if job_id in own_ids)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


async def _batched(items: AsyncIterator[_T], size: int) -> AsyncIterator[list[_T]]:
    page: list[_T] = []
    async for item in items:
        page.append(item)
        if len(page) == size:
            yield page
            page = []
    if page:
        yield page
