"""Keeps every event in the indexes by which it is found, whatever release has accepted it.

This release lists an event when it accepts it. A pass over all events, in the order in which they
came, lists those of earlier releases, also those that one accepts during a deploy. It goes on
where it stopped: field `events` of `hg:indexed` is the sequence number that it has come to.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, cast

import redis.asyncio as aredis

from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.index_events import index_events
from service.jobs.lua.runner import Scripts
from service.jobs.queries import oldest_members

#: Events per script call, which blocks the store meanwhile.
_BATCH: Final = 100
_STATE, _FIELD = "hg:indexed", "events"


class EventIndex:
    """The pass over all events."""

    def __init__(self, client: aredis.Redis, script_config: ScriptConfig) -> None:
        self._client = client
        self._scripts = Scripts(client, script_config)

    async def complete(self, limit: int) -> int:
        """Go on with the pass; returns how many events it has listed.

        Parameters:
          limit: The most events to look at.
        """
        listed, at = 0, await self._position()
        for _ in range(0, limit, _BATCH):
            events = await oldest_members(self._client, "hg:events", at, _BATCH)
            if not events:
                break
            listed += await self._scripts.run(index_events(*(event for event, _ in events)))
            at = events[-1][1]
            await self._client.hset(_STATE, _FIELD, str(at))
        return listed

    async def _position(self) -> int:
        found = await cast("Awaitable[bytes | None]", self._client.hget(_STATE, _FIELD))
        return int(found or 0)
