"""Erases a person's row from the follower exports of others."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Any, Final, cast

import redis.asyncio as aredis

from service.followers.rows import pack, unpack
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.replace_rows import replace_rows
from service.jobs.lua.runner import Scripts
from service.jobs.model import FOLLOWER_KINDS
from service.jobs.person import Person

#: Batches read in one round trip, and by one call: a million rows.
_AT_ONCE: Final = 20
MAX_BATCHES: Final = 5_000
#: How long a walk that was cut off can go on where it stopped.
_STATE_SECONDS: Final = 24 * 3600
_EMPTY_ROW: Final = {
    "pk": "",
    "username": "",
    "full_name": "",
    "is_private": False,
    "is_verified": False,
}


@dataclass(frozen=True)
class ErasedRows:
    """How many rows were erased, and whether all exports have been searched."""

    erased: int
    done: bool


class ExportRows:
    """The walk over the rows of all exports that are still stored.

    Parameters:
      client: The event loop's Redis client.
      script_config: Has the keys of persons.
    """

    def __init__(self, client: aredis.Redis, script_config: ScriptConfig) -> None:
        self._client = client
        self._keys = script_config.person_keys
        self._scripts = Scripts(client, script_config)

    async def erase(self, person: Person) -> ErasedRows:
        """Replace the person's rows by empty ones, so that the others keep their numbers."""
        state = f"hg:erasing:{self._keys.key(person.asked)}"
        reached = await cast("Awaitable[bytes | None]", self._client.hget(state, "rows"))
        erased, searched = 0, 0
        async for job_id, at, member in self._batches(*_position(reached)):
            erased += await self._erase_in(person, job_id, member)
            searched += 1
            if searched >= MAX_BATCHES:
                await self._client.hset(state, "rows", f"{job_id} {at}")
                await self._client.expire(state, _STATE_SECONDS)
                return ErasedRows(erased, False)
        await self._client.hdel(state, "rows")
        return ErasedRows(erased, True)

    async def _erase_in(self, person: Person, job_id: str, member: bytes) -> int:
        start, _, packed = member.partition(b":")
        lines = unpack(packed)
        at = next((n for n, line in enumerate(lines) if _is_row_of(person, line)), None)
        if at is None:
            return 0
        rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
        pk = str(rows[at]["pk"])
        rows[at] = _EMPTY_ROW
        after = start + b":" + pack(rows)
        call = replace_rows(job_id, member, after, pk, self._keys.key(f"pk:{pk}"))
        return await self._scripts.run(call)

    async def _batches(self, first_job: str, after: int) -> AsyncIterator[tuple[str, int, bytes]]:
        """The batches of all exports: job, number of the first row, and the stored member.

        Parameters:
          first_job: Where an earlier walk stopped; '' to begin.
          after: The first row of the batch that it has searched last there.
        """
        for job_id in await self._exports(first_job):
            at = after if job_id == first_job else -1
            while batch := await self._after(job_id, at):
                for member, score in batch:
                    yield job_id, score, member
                at = batch[-1][1]

    async def _exports(self, first_job: str) -> list[str]:
        """The exports, oldest first, from one of them on."""
        jobs: list[str] = []
        for kind in sorted(FOLLOWER_KINDS):
            members = await self._client.zrange(f"hg:jobs:kind:{kind}", 0, -1)
            jobs += [member.decode() for member in cast("list[bytes]", members)]
        return jobs[jobs.index(first_job) :] if first_job in jobs else jobs

    async def _after(self, job_id: str, row: int) -> list[tuple[bytes, int]]:
        entries = await self._client.zrange(
            f"hg:rows:{job_id}",
            cast("int", f"({row}"),
            cast("int", "+inf"),
            byscore=True,
            offset=0,
            num=_AT_ONCE,
            withscores=True,
        )
        return [(member, int(at)) for member, at in cast("list[tuple[bytes, float]]", entries)]


def _position(reached: bytes | None) -> tuple[str, int]:
    if reached is None:
        return "", -1
    job_id, at = reached.decode().split(" ")
    return job_id, int(at)


def _is_row_of(person: Person, line: bytes) -> bool:
    # Most lines need not be parsed: they are plain ASCII, without spaces after colons.
    text = line.decode().lower()
    if not any(f':"{name.removeprefix("pk:")}"' in text for name in person.names):
        return False
    row = json.loads(line)
    return f"pk:{row['pk']}" in person.names or str(row["username"]).lower() in person.names
