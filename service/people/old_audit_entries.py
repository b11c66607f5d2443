"""Erases entries of the audit log in which a release before 0.3 wrote names."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final, cast

import redis.asyncio as aredis

from service.instagram.ids import person_name
from service.jobs.lua.builder import ScriptConfig
from service.jobs.person import Person

#: Entries read in one round trip, and by one call.
_BATCH: Final = 1_000
MAX_ENTRIES: Final = 100_000
#: How long a walk that was cut off can go on where it stopped.
_STATE_SECONDS: Final = 24 * 3600


class OldAuditEntries:
    """The walk over the audit log, oldest first.

    Parameters:
      client: The event loop's Redis client.
      script_config: Has the keys of persons.
    """

    def __init__(self, client: aredis.Redis, script_config: ScriptConfig) -> None:
        self._client = client
        self._keys = script_config.person_keys

    async def erase(self, person: Person) -> tuple[int, bool]:
        """Erase the person's entries; returns how many, and whether the walk is complete."""
        state = f"hg:erasing:{self._keys.key(person.asked)}"
        reached = await cast("Awaitable[bytes | None]", self._client.hget(state, "audit"))
        after, erased = reached.decode() if reached else "-", 0
        for _ in range(0, MAX_ENTRIES, _BATCH):
            entries: Any = await self._client.xrange("hg:audit", min=after, count=_BATCH)
            gone = [at for at, fields in entries if _names(person, fields)]
            erased += await self._client.xdel("hg:audit", *gone) if gone else 0
            if len(entries) < _BATCH:
                await self._client.hdel(state, "audit")
                return erased, True
            after = f"({entries[-1][0].decode()}"
        await self._client.hset(state, "audit", after)
        await self._client.expire(state, _STATE_SECONDS)
        return erased, False


def _names(person: Person, fields: dict[bytes, bytes]) -> bool:
    to, pk = (fields.get(name, b"").decode() for name in (b"to", b"pk"))
    name = person_name(to) if to else ""
    return person.is_meant(name, f"pk:{pk}" if pk and to else "", "")
