"""Erases what is kept about one person, in steps: each is small, and one that was cut off goes on.

What links the person's names is erased last: the jobs of the name that was asked for come after
those of its other names. So the next call, after whatever happened, finds what is left.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import redis.asyncio as aredis

from service.jobs.audit_log import Requester
from service.jobs.lua.audit_erasure import audit_erasure
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.erase_caches import erase_caches
from service.jobs.lua.erase_jobs import ErasableJob, erase_jobs
from service.jobs.lua.hash_encoding import fields_of
from service.jobs.lua.list_plain_names import list_plain_names
from service.jobs.lua.runner import Scripts
from service.jobs.person import Person, PersonFinder, person_of
from service.jobs.person_keys import names_shown
from service.jobs.queries import newest_members
from service.jobs.records import JobRecord
from service.jobs.unfinished_events import finish_events
from service.people.index import PersonIndex
from service.people.old_audit_entries import OldAuditEntries
from service.people.rows import ExportRows

#: Jobs erased by one script call, which blocks the store meanwhile.
_AT_ONCE: Final = 10
#: Jobs of one call of `erase`, and jobs that it lists first if they are not.
MAX_JOBS: Final = 2_000
MAX_UNLISTED: Final = 20_000
#: Entries of the feed read in one round trip.
_FEED_BATCH: Final = 500
#: Jobs that an answer names.
_MAX_NAMED: Final = 20


@dataclass(frozen=True)
class Erasure:
    """What one call has erased.

    Parameters:
      jobs: How many jobs, each with its event's body, texts, photo, callbacks and thread.
      caches: How many cached profiles and posts, known ids, threads and entries of the
        do-not-contact list; the last stay under a keyed hash.
      rows: How many rows of follower exports.
      audit_entries: How many entries of the audit log that older releases wrote.
      busy: The first jobs whose write may be under way: they are erased once they have ended.
      others: Ids that have had this username, if there are several: ask for each.
      done: Whether nothing is left; otherwise call again.
    """

    jobs: int
    caches: int
    rows: int
    audit_entries: int
    busy: tuple[str, ...]
    others: tuple[str, ...]
    done: bool

    def public(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "erased": {
                "jobs": self.jobs,
                "caches": self.caches,
                "rows": self.rows,
                "audit_entries": self.audit_entries,
            },
            "other_ids": list(self.others),
            "done": self.done,
        }


class PersonErasure:
    """Erases persons.

    Parameters:
      client: The event loop's Redis client.
      script_config: Has the keys of persons.
      accounts: The accounts that may have threads with them.
    """

    def __init__(
        self, client: aredis.Redis, script_config: ScriptConfig, accounts: Sequence[str]
    ) -> None:
        self._client = client
        self._scripts = Scripts(client, script_config)
        self._tombstones = script_config.person_keys.tombstones
        self._finder = PersonFinder(client, script_config.person_keys)
        self._index = PersonIndex(client, script_config)
        self._audit = OldAuditEntries(client, script_config)
        self._rows = ExportRows(client, script_config)
        self._accounts = tuple(accounts)

    async def erase(self, asked: str, requester: Requester) -> Erasure:
        """Erase what is known of a person, or as much of it as one call may.

        Parameters:
          asked: A username in its normal form without `@`, or `pk:DIGITS`.
          requester: Who asks, for the audit log and timelines.
        """
        await finish_events(self._client, self._scripts)
        walk = await self._index.complete(MAX_UNLISTED)
        person = await self._finder.find(asked)
        rows = await self._rows.erase(person)
        audit_entries, audit_done = 0, True
        if await self._index.may_have_old_audit_entries():
            audit_entries, audit_done = await self._audit.erase(person)
        caches = await self._scripts.run(erase_caches(await self._facts(person)))
        outcomes, busy, jobs_done = Counter[str](), list[str](), False
        if walk.is_complete and rows.done and audit_done:
            outcomes, busy, jobs_done = await self._erase_jobs(person, requester.by)
        await self._erase_feed(person)
        # Whatever it found, and last: once this entry is durable (DURABILITY), so is all before it.
        await self._scripts.run(audit_erasure(*requester, person.current_key(asked)))
        return Erasure(
            jobs=outcomes["erased"],
            caches=caches,
            rows=rows.erased,
            audit_entries=audit_entries,
            busy=tuple(dict.fromkeys(busy))[:_MAX_NAMED],
            others=person.others,
            done=jobs_done and not busy,
        )

    async def _facts(self, person: Person) -> str:
        accounts: Any = await cast("Awaitable[Any]", self._client.smembers("hg:accts"))
        known = {account.decode() for account in accounts}
        return json.dumps(
            {
                "names": person.names[::-1],
                "keys": [person.current_key(name) for name in person.names[::-1]],
                "traced": [key for name in person.names for key in person.keys[name]],
                "accounts": sorted(known.union(self._accounts)),
            }
        )

    async def _erase_jobs(self, person: Person, by: str) -> tuple[Counter[str], list[str], bool]:
        """Erase the person's jobs; returns outcomes, busy ones, and whether all are done."""
        outcomes, busy = Counter[str](), list[str]()
        async for jobs in self._slices(person):
            replies = await self._scripts.run(erase_jobs(by, *await self._erasable(person, jobs)))
            outcomes.update(replies)
            pairs = zip(jobs, replies, strict=True)
            busy += [job.id for job, reply in pairs if reply in ("busy", "newer")]
            if outcomes.total() >= MAX_JOBS:
                return outcomes, busy, False
        return outcomes, busy, not outcomes["changed"]

    async def _erasable(self, person: Person, jobs: Sequence[JobRecord]) -> list[ErasableJob]:
        listed = await self._scripts.run(list_plain_names(*(job.id for job in jobs)))
        pairs = zip(jobs, map(self._tombstones.new_names, listed), strict=True)
        return [_erasable(person, job, new_names) for job, new_names in pairs]

    async def _slices(self, person: Person) -> AsyncIterator[list[JobRecord]]:
        for index in person.indexes():
            before: int | None = None
            while batch := await newest_members(self._client, index, before, _AT_ONCE):
                before = batch[-1][1]
                jobs = await self._meant(person, [job_id.decode() for job_id, _ in batch])
                if jobs:
                    yield jobs

    async def _meant(self, person: Person, job_ids: Sequence[str]) -> list[JobRecord]:
        async with self._client.pipeline(transaction=False) as pipe:
            for job_id in job_ids:
                pipe.hgetall(f"hg:job:{job_id}")
            found = await cast("Awaitable[list[dict[bytes, bytes]]]", pipe.execute())
        pairs = zip(job_ids, found, strict=True)
        records = [JobRecord.of(job_id, fields_of(fields)) for job_id, fields in pairs if fields]
        return [record for record in records if _is_meant(person, record)]

    async def _erase_feed(self, person: Person) -> None:
        """Drop what live subscribers were told of erased jobs, and of lookups of the person."""
        after = "-"
        while True:
            entries: Any = await self._client.xrange("hg:feed", min=after, count=_FEED_BATCH)
            told = [(at, fields) for at, fields in entries if _tells_outcome(fields)]
            async with self._client.pipeline(transaction=False) as pipe:
                for _, fields in told:
                    pipe.hexists(b"hg:job:" + fields[b"job"], "erased")
                erased = await cast("Awaitable[list[bool]]", pipe.execute())
            gone = [
                at
                for (at, fields), is_erased in zip(told, erased, strict=True)
                if is_erased or _shows(person, fields[b"result"] or b"null")
            ]
            if gone:
                await self._client.xdel("hg:feed", *gone)
            if len(entries) < _FEED_BATCH:
                return
            after = f"({entries[-1][0].decode()}"


def _tells_outcome(fields: Mapping[bytes, bytes]) -> bool:
    """Whether an entry has what a job has found, or the message of its error."""
    return bool(fields.get(b"result") or fields.get(b"error"))


def _shows(person: Person, result: bytes) -> bool:
    """Whether the result of a lookup shows the person: the job may be pruned already."""
    found = json.loads(result)
    return isinstance(found, dict) and not set(names_shown(found)).isdisjoint(person.names)


def _is_meant(person: Person, record: JobRecord) -> bool:
    return person.is_meant(*person_of(record), record.who)


def _erasable(person: Person, record: JobRecord, new_names: Mapping[str, str]) -> ErasableJob:
    to, pk = (person.keys[name][0] if name in person.keys else "" for name in person_of(record))
    return ErasableJob(record.id, record.to, record.pk, to, pk, json.dumps(new_names))
