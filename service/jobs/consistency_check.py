"""The examination: is every record where the indexes say, and led to until it has ended?

It walks the records and the indexes themselves, a page at a time. What is judged together is
judged in one script, so that it can be made while processes work: between two pages the ledger
may change, within one it cannot.
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

#: The most that one script call looks at.
PAGE: Final = 100
#: How many keys one SCAN steps over; most are not of the kind looked for.
_STRIDE: Final = 1_000
#: How many indexes are read in one round trip.
_ABREAST: Final = 20

_INDEXES: Final = (
    "hg:jobs",
    "hg:dlvs",
    "hg:due",
    "hg:wakes",
    "hg:leases",
    "hg:expiry",
)
_LISTS: Final = (b"line", b"held")
_RECORDS: Final = (
    (b"job", "hg:job:"),
    (b"delivery", "hg:dlv:"),
    (b"export", "hg:rows:"),
    (b"export", "hg:walked:"),
)

#: What to look at (see `check_consistency.lua`) and its id.
_Item = tuple[bytes, bytes]
_T = TypeVar("_T")


class Examination:
    """Looks through the whole ledger.

    Parameters:
      client: The event loop's Redis client.
      script_config: Leases and retention.
    """

    def __init__(self, client: aredis.Redis, script_config: ScriptConfig) -> None:
        self._client = client
        self._scripts = Scripts(client, script_config)
        self._keep_ms = script_config.keep

    async def defects(self, *, repair: bool = False) -> AsyncIterator[Defect]:
        """Find what is not as it must be.

        Parameters:
          repair: Mend what can be mended; how a job ended is never changed.
        """
        action: Literal["report", "repair"] = "repair" if repair else "report"
        async for page in _paged(self._items(), PAGE):
            reply = await self._scripts.run(check_consistency(action, PAGE, *page))
            for problem in reply.problems:
                yield Defect(*problem)
        async for events in _paged(self._keys("hg:event:"), PAGE):
            for defect in await self._lost_jobs(events):
                yield defect

    async def _items(self) -> AsyncIterator[_Item]:
        """Everything to look at; turns come last, when those who work have theirs again."""
        for what, prefix in _RECORDS:
            async for key in self._keys(prefix):
                yield what, key.removeprefix(prefix.encode())
        accounts: set[bytes] = set()
        async for indexes in _paged(self._indexes(accounts), _ABREAST):
            async for item in self._members(indexes):
                yield item
        async for _, account in self._members([b"hg:turns", b"hg:alarms"]):
            accounts.add(account)
        for account in sorted(accounts):
            yield b"account", account

    async def _keys(self, prefix: str) -> AsyncIterator[bytes]:
        keys = self._client.scan_iter(f"{prefix}*", count=_STRIDE)
        async for key in cast("AsyncIterator[bytes]", keys):
            yield key

    async def _indexes(self, accounts: set[bytes]) -> AsyncIterator[bytes]:
        """Every index whose members have a record; `accounts` gathers those with any key."""
        for fixed in _INDEXES:
            yield fixed.encode()
        for prefix in ("hg:jobs:", "hg:dlvs:"):
            async for index in self._keys(prefix):
                yield index
        async for key in self._keys("hg:acct:"):
            account, *parts = key.removeprefix(b"hg:acct:").split(b":")
            accounts.add(account)
            if parts and parts[0] in _LISTS:
                yield key

    async def _members(self, indexes: Sequence[bytes]) -> AsyncIterator[_Item]:
        """The members of several indexes, a page of each a round trip."""
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

    async def _lost_jobs(self, events: Sequence[bytes]) -> list[Defect]:
        """The jobs of these events that are gone before their time."""
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.time()
            for key in events:
                pipe.hmget(key, "source", "id", "received", "jobs", "notes")
            (seconds, micros), *records = await cast("Awaitable[list[Any]]", pipe.execute())
        since_ms = seconds * 1000 + micros // 1000 - self._keep_ms
        listed: list[tuple[str, str]] = []
        broken: list[Defect] = []
        for key, fields in zip(events, records, strict=True):
            name = _text(key.removeprefix(b"hg:event:"))
            try:
                listed += [(name, job_id) for job_id in _own_jobs(fields, since_ms)]
            except (TypeError, ValueError, KeyError):
                broken.append(Defect(name, "broken record", "jobs", "lost"))
        return broken + await self._without_record(listed)

    async def _without_record(self, listed: list[tuple[str, str]]) -> list[Defect]:
        async with self._client.pipeline(transaction=False) as pipe:
            for _, job_id in listed:
                pipe.exists(f"hg:job:{job_id}")
            known = await cast("Awaitable[list[int]]", pipe.execute())
        return [
            Defect(event, "lost job", job_id, "lost")
            for (event, job_id), there in zip(listed, known, strict=True)
            if not there
        ]


def _own_jobs(fields: Sequence[bytes | None], since_ms: int) -> Iterator[str]:
    """The jobs that an event made itself and that cannot have been forgotten yet.

    What it lists besides, an earlier event under the same business key has made.
    """
    if not any(fields):
        return  # forgotten since it was listed
    source, event_id, received, jobs, notes = ((field or b"").decode() for field in fields)
    rules = {note["rule"] for note in json.loads(notes)}
    made = {derived_id("job", source, event_id, rule) for rule in rules}
    if int(received) > since_ms:
        yield from (job_id for job_id in json.loads(jobs) if job_id in made)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


async def _paged(items: AsyncIterator[_T], size: int) -> AsyncIterator[list[_T]]:
    page: list[_T] = []
    async for item in items:
        page.append(item)
        if len(page) == size:
            yield page
            page = []
    if page:
        yield page
