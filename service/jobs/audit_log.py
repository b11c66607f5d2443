"""The audit log: what was decided, when and why, without the text of any job.

The scripts write each entry (`audit` in lua/lib/audit_log.lua) in the same step as the decision.
Acts that no such script does write theirs with `audit_entry`, in the same transaction.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

import orjson
import redis.asyncio as aredis

from service.jobs.audit_filter import AuditFilter
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.hash_encoding import MOST_PIECES, fields_of
from service.jobs.lua.read_audit_log import read_audit_log
from service.jobs.lua.runner import Scripts
from service.jobs.stored_names import AUDIT_DECISIONS, TIMELINE_BY, public_name
from service.redis.decoding import decode_fields
from service.time_formats.timestamps import rfc3339

KEY: Final = "hg:audit"
#: Entries that one script call looks at, which blocks the store meanwhile, and the most calls for
#: one page.
EFFORT: Final = 300
MAX_CALLS: Final = 4
#: The most entries of one step.
_OF_ONE_STEP: Final = 500
#: What an entry shows of its job; entries of releases before 0.3 have these fields of their own.
_FROM_JOB: Final = ("to", "post", "pk")
_RESULT: Final = ("result", *(f"result:{piece}" for piece in range(2, MOST_PIECES + 1)))

#: How much later an entry may be than the timeline's of the same step.
_SAME_STEP_MS: Final = 5

_Entry = tuple[str, Mapping[str, str]]


class AuditLog:
    """Reads the audit log."""

    def __init__(self, client: aredis.Redis, script_config: ScriptConfig) -> None:
        self._client = client
        self._scripts = Scripts(client, script_config)

    async def page(
        self, audit_filter: AuditFilter, *, cursor: str | None, limit: int
    ) -> tuple[list[dict[str, Any]], str | None]:
        """A page of entries, newest first.

        Parameters:
          cursor: From the previous page; None for the first.
          limit: The most entries on the page; it may have fewer although more follow.

        Returns:
          The entries, and the cursor of the next page (None at the end).
        """
        if audit_filter.job_id is not None and await self._has_whole_timeline(audit_filter.job_id):
            return await self._page_of_job(audit_filter, audit_filter.job_id, cursor, limit)
        query, found = orjson.dumps(audit_filter.query()), list[_Entry]()
        for _ in range(MAX_CALLS):
            bounds = audit_filter.newest(cursor), audit_filter.oldest()
            call = read_audit_log(query, *bounds, EFFORT, limit - len(found))
            reply = await self._scripts.run(call)
            found += reply.entries
            cursor = reply.last
            if reply.done or len(found) == limit:
                return await self._to_public(found), None if reply.done else cursor
        return await self._to_public(found), cursor

    async def _page_of_job(
        self, audit_filter: AuditFilter, job_id: str, cursor: str | None, limit: int
    ) -> tuple[list[dict[str, Any]], str | None]:
        entries = [entry for entry in await self._entries_of(job_id) if audit_filter.meets(*entry)]
        newest = sorted(entries, key=_place, reverse=True)
        if cursor is not None:
            newest = [entry for entry in newest if _place(entry) < _place((cursor, {}))]
        page = newest[:limit]
        return await self._to_public(page), page[-1][0] if len(newest) > limit else None

    async def _has_whole_timeline(self, job_id: str) -> bool:
        found = self._client.hmget(f"hg:job:{job_id}", ["trimmed", "status"])
        trimmed, status = await cast("Awaitable[list[bytes | None]]", found)
        return status is not None and int(trimmed or 0) == 0

    async def of_job(self, job_id: str) -> list[dict[str, Any]]:
        """The entries of one job, oldest first.

        They are looked for around the times of its timeline, which each decision about a job is
        written to in the same step.
        """
        return await self._to_public(sorted(await self._entries_of(job_id), key=_place))

    async def _entries_of(self, job_id: str) -> list[_Entry]:
        key = f"hg:jobtl:{job_id}"
        lines = await cast("Awaitable[list[bytes]]", self._client.lrange(key, 0, -1))
        times = sorted({int(line.strip(b"[").split(b"\t")[0].split(b",")[0]) for line in lines})
        async with self._client.pipeline(transaction=False) as pipe:
            for at in times:
                pipe.xrange(KEY, min=at, max=at + _SAME_STEP_MS, count=_OF_ONE_STEP)
            found = await cast("Awaitable[list[Any]]", pipe.execute())
        entries = {
            entry_id.decode(): decode_fields(fields)
            for batch in found
            for entry_id, fields in batch
            if fields.get(b"job") == job_id.encode()
        }
        return list(entries.items())

    async def _to_public(self, entries: Sequence[_Entry]) -> list[dict[str, Any]]:
        """Entries as the API shows them, with whom their jobs are about."""
        async with self._client.pipeline(transaction=False) as pipe:
            for _, fields in entries:
                pipe.hmget(f"hg:job:{fields.get('job', '')}", *_names_from_job(fields))
            found = await cast("Awaitable[list[list[bytes | None]]]", pipe.execute())
        return [
            _to_public(entry_id, fields, _known(_names_from_job(fields), values))
            for (entry_id, fields), values in zip(entries, found, strict=True)
        ]


def _place(entry: _Entry) -> tuple[int, int]:
    """An entry's place in the order of the log."""
    at_ms, _, number = entry[0].partition("-")
    return int(at_ms), int(number)


def _names_from_job(fields: Mapping[str, str]) -> tuple[str, ...]:
    """The stored names of what an entry shows of its job; of a settlement also what it said."""
    return _FROM_JOB + (_RESULT if fields["decision"] == "settle" else ())


def _known(names: Sequence[str], values: Sequence[bytes | None]) -> dict[bytes, bytes]:
    pairs = zip(names, values, strict=True)
    return {name.encode(): value for name, value in pairs if value is not None}


class Requester(NamedTuple):
    """Who asks for an act that is audited, and from where.

    Parameters:
      by: `api:` and the name of the key, or `cli`.
      address: The client's; empty for none.
    """

    by: str
    address: str = ""


#: Who uses the command line.
CLI: Final = Requester("cli")


def audit_entry(decision: str, why: str, requester: Requester, account: str) -> list[str]:
    """Fields and values of an entry, as XADD takes them.

    Parameters:
      decision: What was done.
      why: The reason; empty for none.
      requester: Who asked for it.
      account: The account that it is about; `*` for all.
    """
    fields = {"decision": decision, "why": why, "by": requester.by, "account": account}
    if requester.address:
        fields["address"] = requester.address
    return [part for pair in fields.items() for part in pair]


def _note(entry_ms: int, result: str) -> str | None:
    """The note of the settlement that an entry is of, if the job's result is still the one of it.

    Parameters:
      entry_ms: When the entry was made, Unix milliseconds.
      result: The result of its job (JSON), or ''.
    """
    settled = json.loads(result or "{}").get("settled")
    times = (rfc3339(entry_ms - later) for later in range(_SAME_STEP_MS + 1))
    return settled["note"] if settled and settled["at"] in times else None


def _to_public(
    entry_id: str, entry: Mapping[str, str], from_job: Mapping[bytes, bytes]
) -> dict[str, Any]:
    """An entry as the API shows it.

    Parameters:
      entry_id: Its id in the stream.
      entry: Its fields.
      from_job: Fields of its job's hash, as they are stored.
    """
    job = fields_of(from_job)
    fields = {**{name: job[name] for name in _FROM_JOB}, **entry}
    entry_ms = int(entry_id.partition("-")[0])
    source = json.loads(fields.get("source") or "{}")
    return {
        "at": rfc3339(entry_ms),
        "decision": public_name(AUDIT_DECISIONS, fields["decision"]),
        "reason": fields["why"] or None,
        "by": public_name(TIMELINE_BY, fields["by"]) or None,
        "address": fields.get("address"),
        "account": fields["account"] or None,
        "job_id": fields.get("job"),
        "kind": fields.get("kind"),
        "to": fields.get("to") or None,
        "post": fields.get("post") or None,
        "pk": fields.get("pk") or None,
        "event_id": source.get("event_id"),
        "rule": source.get("rule"),
        "text_hash": fields.get("text_hash"),
        "note": _note(entry_ms, job["result"]),
    }
