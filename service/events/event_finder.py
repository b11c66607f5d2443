"""Finds events by where they came from, what they are and what the rules say of them."""

from __future__ import annotations

from typing import Final

import orjson
import redis.asyncio as aredis

from service.events.event_filter import EventFilter
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.find_events import find_events
from service.jobs.lua.runner import Scripts
from service.jobs.queries import JobQueries, Page
from service.jobs.records import EventRecord

#: Entries of an index that one script call looks at, which blocks the store meanwhile, and the
#: most calls for one page: a filter that hardly any of many events meet has pages with few of them.
EFFORT: Final = 1_000
MAX_CALLS: Final = 4


class EventFinder:
    """Finds events.

    Parameters:
      client: The event loop's Redis client.
      script_config: Leases and retention.
      queries: Reads what was found.
    """

    def __init__(
        self, client: aredis.Redis, script_config: ScriptConfig, queries: JobQueries
    ) -> None:
        self._scripts = Scripts(client, script_config)
        self._queries = queries

    async def page(self, event_filter: EventFilter, *, cursor: int | None, limit: int) -> Page:
        """A page of events as the API shows them; parameters as for `find`."""
        found, following = await self.find(event_filter, cursor=cursor, limit=limit)
        return Page([event.public() for event in found], following)

    async def find(
        self, event_filter: EventFilter, *, cursor: int | None, limit: int
    ) -> tuple[list[EventRecord], int | None]:
        """Events, newest first, and the cursor of those that follow (None at the end).

        Parameters:
          cursor: From the previous page; None for the first.
          limit: The most events, at least 1; there may be fewer although more follow.
        """
        members: list[str] = []
        for _ in range(MAX_CALLS):
            some, cursor = await self._find_once(event_filter, cursor, limit - len(members))
            members += some
            if cursor is None or len(members) == limit:
                break
        return await self._queries.events_of(members), cursor

    async def _find_once(
        self, event_filter: EventFilter, cursor: int | None, limit: int
    ) -> tuple[list[str], int | None]:
        """What one script call finds. A glob is matched here, where that takes linear time."""
        query, glob = orjson.dumps(event_filter.query()), event_filter.glob()
        if glob is None:
            reply = await self._scripts.run(find_events(query, cursor, limit, EFFORT))
            return [event.member for event in reply.events], reply.next
        reply = await self._scripts.run(find_events(query, cursor, EFFORT, EFFORT))
        matching = [event for event in reply.events if glob(event.type)]
        following = matching[limit - 1].seq if len(matching) > limit else reply.next
        return [event.member for event in matching[:limit]], following
