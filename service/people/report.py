"""Shows everything that is kept about one person, a page of jobs at a time."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import redis.asyncio as aredis

from service.accounts.suppressions import Suppressions
from service.deliveries.store import Deliveries
from service.encryption.cipher import Cipher, Unreadable
from service.jobs.audit_log import AuditLog
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.runner import Scripts
from service.jobs.person import Person, PersonFinder, person_of
from service.jobs.person_keys import traces_key
from service.jobs.queries import JobQueries, newest_members
from service.jobs.records import JobRecord
from service.jobs.unfinished_events import finish_events
from service.people.index import PersonIndex
from service.redis.decoding import decode_fields
from service.time_formats.timestamps import rfc3339

#: Jobs that one page lists first, if they are not listed under their persons.
MAX_UNLISTED: Final = 20_000
#: What is shown in place of a text or body that cannot be decrypted.
_UNREADABLE: Final = {"error": "No part of SECRET_KEY decrypts it."}


@dataclass(frozen=True)
class ReportSources:
    """What a report is read from."""

    jobs: JobQueries
    deliveries: Deliveries
    suppressions: Suppressions
    audit_log: AuditLog

    @classmethod
    def of(cls, client: aredis.Redis, script_config: ScriptConfig, cipher: Cipher) -> ReportSources:
        """Make readers of their own."""
        return cls(
            JobQueries(client, script_config, cipher),
            Deliveries(client, script_config),
            Suppressions(client, script_config.person_keys),
            AuditLog(client, script_config),
        )


class PersonReport:
    """Reads what is kept about people.

    Parameters:
      client: The event loop's Redis client.
      script_config: Has the keys of persons.
      sources: What it is read from.
      accounts: The accounts that may have threads with them.
    """

    def __init__(
        self,
        client: aredis.Redis,
        script_config: ScriptConfig,
        sources: ReportSources,
        accounts: Sequence[str],
    ) -> None:
        self._client = client
        self._scripts = Scripts(client, script_config)
        self._finder = PersonFinder(client, script_config.person_keys)
        self._index = PersonIndex(client, script_config)
        self._sources = sources
        self._accounts = tuple(accounts)

    async def page(self, asked: str, *, cursor: int | None, limit: int) -> dict[str, Any]:
        """One page.

        Parameters:
          asked: A username in its normal form without `@`, or `pk:DIGITS`.
          cursor: `next` of the previous page; None for the first, which also has what is kept
            beside jobs.
          limit: The most jobs on it.
        """
        await finish_events(self._client, self._scripts)
        walk = await self._index.complete(MAX_UNLISTED)
        person = await self._finder.find(asked)
        records, next_cursor = await self._records(person, cursor, limit)
        page: dict[str, Any] = {
            "person": person.public(),
            "complete": walk.is_complete,
        }
        if cursor is None:
            page |= {
                "suppressions": await self._suppressions(person),
                "threads": await self._threads(person),
                "caches": await self._caches(person),
            }
        items = [await self._job(record) for record in records]
        return {**page, "items": items, "next": None if next_cursor is None else str(next_cursor)}

    async def _records(
        self, person: Person, cursor: int | None, limit: int
    ) -> tuple[list[JobRecord], int | None]:
        """The person's newest jobs before the cursor, and the cursor of the next page."""
        members: dict[str, int] = {}
        for index in person.indexes():
            batch = await newest_members(self._client, index, cursor, limit + 1)
            members |= {job_id.decode(): seq for job_id, seq in batch}
        newest = sorted(members, key=lambda job_id: -members[job_id])
        records = await self._sources.jobs.records(newest[:limit])
        meant = [each for each in records if person.is_meant(*person_of(each), each.who)]
        return meant, members[newest[limit - 1]] if len(newest) > limit else None

    async def _job(self, record: JobRecord) -> dict[str, Any]:
        [job] = await self._sources.jobs.to_public([record])
        deliveries = await self._sources.deliveries.of_job(record.id, record.run)
        return {
            **job,
            "pk": record.pk or None,
            "text": await self._text(record.id),
            "photo_bytes": int(await self._client.strlen(f"hg:jobphoto:{record.id}")),
            "timeline": await self._sources.jobs.timeline(record.id),
            "events": [await self._event(member) for member in await self._events_of(record)],
            "deliveries": [await self._sources.deliveries.read(each["id"]) for each in deliveries],
            "audit": await self._sources.audit_log.of_job(record.id),
            "kept_until": await self._kept_until(record),
        }

    async def _text(self, job_id: str) -> Any:
        try:
            return await self._sources.jobs.job_text(job_id)
        except Unreadable:
            return _UNREADABLE

    async def _events_of(self, record: JobRecord) -> list[tuple[str, str]]:
        """The source and id of every event that lists a job."""
        further: Any = await cast(
            "Awaitable[Any]", self._client.smembers(f"hg:jobevents:{record.id}")
        )
        members = {tuple(member.decode().split(":", 1)) for member in further}
        if record.source.get("event_id"):
            members.add((record.source["source"], record.source["event_id"]))
        return sorted(cast("set[tuple[str, str]]", members))

    async def _event(self, member: tuple[str, str]) -> dict[str, Any]:
        source, event_id = member
        try:
            body = await self._sources.jobs.event_body(source, event_id)
        except Unreadable:
            return {"source": source, "id": event_id, "body": _UNREADABLE}
        text = None if body is None else body.decode("utf-8", "backslashreplace")
        return {"source": source, "id": event_id, "body": text}

    async def _kept_until(self, record: JobRecord) -> dict[str, str | None]:
        """When the record and the text will be deleted; None until the job has ended."""
        record_until = await self._client.zscore("hg:retention", record.id)
        text_until = await self._client.pexpiretime(f"hg:jobtext:{record.id}")
        return {
            "record": rfc3339(int(record_until or 0)),
            "text": rfc3339(max(0, int(text_until))),
        }

    async def _suppressions(self, person: Person) -> list[dict[str, Any]]:
        scopes = (None, *self._accounts)
        found = [
            await self._sources.suppressions.get(name, account=account)
            for name in person.names
            for account in scopes
        ]
        return [entry.public() for entry in found if entry is not None]

    async def _threads(self, person: Person) -> list[dict[str, str]]:
        """Accounts that are known to have a thread with the person."""
        pks = [name.removeprefix("pk:") for name in person.names if name.startswith("pk:")]
        pairs = [(account, pk) for account in self._accounts for pk in pks]
        if not pairs:
            return []
        async with self._client.pipeline(transaction=False) as pipe:
            for account, pk in pairs:
                pipe.exists(f"hg:thread:{account}:{pk}")
            known = await cast("Awaitable[list[int]]", pipe.execute())
        return [
            {"account": account, "pk": pk}
            for (account, pk), exists in zip(pairs, known, strict=True)
            if exists
        ]

    async def _caches(self, person: Person) -> list[dict[str, Any]]:
        """Copies of profiles and posts, and known ids."""
        keys = {f"hg:found:user:{name}" for name in person.names if not name.startswith("pk:")}
        for name in person.names:
            for key in person.keys[name]:
                traced: Any = await cast("Awaitable[Any]", self._client.smembers(traces_key(key)))
                keys |= {each.decode() for each in traced}
        return [cache for key in sorted(keys) if (cache := await self._cache(key))]

    async def _cache(self, key: str) -> dict[str, Any] | None:
        until = await self._client.pexpiretime(key)
        if int(until) < 0:
            return None
        content: Any = None
        if key.startswith("hg:found:"):
            fields = await cast("Awaitable[Mapping[bytes, bytes]]", self._client.hgetall(key))
            content = json.loads(decode_fields(fields).get("body", "null"))
        elif key.startswith("hg:pk:"):
            content = bytes(cast("bytes", await self._client.get(key)) or b"").decode()
        return {"key": key, "content": content, "kept_until": rfc3339(int(until))}
