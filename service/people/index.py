"""Keeps every job listed under its persons, whatever release or SECRET_KEY it was created under.

New jobs are listed when they are created. A walk over all jobs, in the order of their creation,
lists those that an earlier release has created, and all of them once more after the first part of
SECRET_KEY has changed. It goes on where it stopped: `hg:people` remembers up to which sequence
number it has come (`seq`) and with which key (`key`), and when it last found a job that was not
listed (`unlisted_at`, Unix ms): entries of the audit log from before then may have names in them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import redis.asyncio as aredis

from service.instagram.ids import person_name
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.index_persons import index_persons
from service.jobs.lua.runner import Scripts
from service.jobs.model import FOLLOWER_KINDS
from service.jobs.queries import oldest_members

#: Jobs read in one round trip.
_BATCH: Final = 200
_STATE: Final = "hg:people"
_FIELDS: Final = ("who", "to", "pk", "kind", "erased")
#: Kinds whose `pk` is a person's; the others' is a post's.
_KINDS_WITH_PERSON: Final = frozenset({"dm", "lookup", *FOLLOWER_KINDS})


@dataclass(frozen=True)
class Progress:
    """How far the walk has come.

    Parameters:
      listed: How many jobs it has listed now.
      is_complete: Whether every job that was stored when it began is listed.
    """

    listed: int
    is_complete: bool


class PersonIndex:
    """The walk over all jobs.

    Parameters:
      client: The event loop's Redis client.
      script_config: Has the keys of persons.
    """

    def __init__(self, client: aredis.Redis, script_config: ScriptConfig) -> None:
        self._client = client
        self._keys = script_config.person_keys
        self._scripts = Scripts(client, script_config)
        self._keep_ms = script_config.keep

    async def complete(self, limit: int) -> Progress:
        """Go on with the walk.

        Parameters:
          limit: The most jobs to look at.
        """
        listed, at = 0, await self._position()
        for _ in range(0, limit, _BATCH):
            batch = await oldest_members(self._client, "hg:jobs", at, _BATCH)
            listed += await self._list(batch)
            if batch:
                at = batch[-1][1]
                await self._client.hset(_STATE, "seq", str(at))
            if len(batch) < _BATCH:
                return Progress(listed, True)
        return Progress(listed, False)

    async def may_have_old_audit_entries(self) -> bool:
        """Whether the audit log may have entries of older releases, which have names in them."""
        unlisted_at = await cast(
            "Awaitable[bytes | None]", self._client.hget(_STATE, "unlisted_at")
        )
        return unlisted_at is not None and int(unlisted_at) + self._keep_ms > await self._now_ms()

    async def _position(self) -> int:
        """The sequence number up to which jobs are listed; 0 under another SECRET_KEY."""
        fingerprint = self._keys.fingerprint
        seq, key = await cast(
            "Awaitable[list[bytes | None]]", self._client.hmget(_STATE, ["seq", "key"])
        )
        if key is not None and key.decode() == fingerprint:
            return int(seq or 0)
        await self._client.hset(_STATE, mapping={"seq": "0", "key": fingerprint})
        return 0

    async def _list(self, jobs: Sequence[tuple[str, int]]) -> int:
        """List those of some jobs that are not listed as they should be; returns how many."""
        async with self._client.pipeline(transaction=False) as pipe:
            for job_id, _ in jobs:
                pipe.hmget(f"hg:job:{job_id}", _FIELDS)
            found = await cast("Awaitable[list[list[bytes | None]]]", pipe.execute())
        wrong: dict[str, dict[str, str]] = {}
        for (job_id, _), values in zip(jobs, found, strict=True):
            pairs = zip(_FIELDS, values, strict=True)
            fields = {name: (value or b"").decode() for name, value in pairs}
            if not self._is_listed(fields):
                wrong[job_id] = fields
        if not wrong:
            return 0
        if not all(fields["who"] for fields in wrong.values()):
            await self._client.hset(_STATE, "unlisted_at", str(await self._now_ms()))
        expected = ((job_id, " ".join(self._expected(each))) for job_id, each in wrong.items())
        return await self._scripts.run(index_persons(*expected))

    def _is_listed(self, fields: dict[str, str]) -> bool:
        return bool(fields["erased"]) or set(self._expected(fields)) <= set(fields["who"].split())

    def _expected(self, fields: dict[str, str]) -> list[str]:
        """The keys that a job must at least be listed under; of the name that it has first.

        By that one a repeated request is recognized once the job is erased (lua/lib/erasure.lua).
        """
        names = [person_name(fields["to"])] if fields["to"] else []
        if fields["pk"] and fields["kind"] in _KINDS_WITH_PERSON:
            names.append(f"pk:{fields['pk']}")
        return list(dict.fromkeys(self._keys.key(name) for name in names))

    async def _now_ms(self) -> int:
        reply: Any = await self._client.time()
        return int(reply[0]) * 1000 + int(reply[1]) // 1000
