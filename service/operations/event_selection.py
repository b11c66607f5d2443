"""Which stored events an operation replays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import redis.asyncio as aredis

from service.events.type_patterns import compile_patterns
from service.jobs.queries import JobQueries, newest_members
from service.jobs.records import EventRecord
from service.operations.store import MAX_ITEMS, TooMany

#: Events read in one round trip.
_PAGE = 200


@dataclass(frozen=True)
class EventSelection:
    """Which events to replay: those that meet everything that is given; None and () mean any.

    Parameters:
      event_ids: They have one of these ids.
      source: Name of their source.
      type: Their type, or a glob of it as rules have.
      status: Their status.
      rule: Name of a rule that was for them.
      outcome: What that rule, or else any rule, says of them.
      created_since_ms: Received at or after this, Unix milliseconds.
      created_until_ms: Received before this, Unix milliseconds.
    """

    event_ids: tuple[str, ...] = ()
    source: str | None = None
    type: str | None = None
    status: str | None = None
    rule: str | None = None
    outcome: str | None = None
    created_since_ms: int | None = None
    created_until_ms: int | None = None

    def matches(self, event: EventRecord) -> bool:
        """Whether an event is one of them."""
        return (
            (not self.event_ids or event.id in self.event_ids)
            and self.source in (None, event.source)
            and self.status in (None, event.status)
            and (self.type is None or compile_patterns([self.type])(event.type))
            and (self.created_since_ms or 0) <= event.received_ms
            and (self.created_until_ms is None or event.received_ms < self.created_until_ms)
            and self._matches_rules(event)
        )

    def _matches_rules(self, event: EventRecord) -> bool:
        if self.outcome == "no_rule_matched":
            return not event.jobs
        if self.rule is None and self.outcome is None:
            return True
        return any(
            self.rule in (None, note["rule"]) and self.outcome in (None, note["outcome"])
            for note in event.notes
        )


class EventSelector:
    """Finds the events of a selection.

    Parameters:
      client: The event loop's Redis client.
      queries: Reads events.
    """

    def __init__(self, client: aredis.Redis, queries: JobQueries) -> None:
        self._client = client
        self._queries = queries

    async def all(self, selection: EventSelection) -> list[EventRecord]:
        """All events of a selection, the oldest first.

        Raises:
          TooMany: There are more than MAX_ITEMS.
        """
        found: list[EventRecord] = []
        cursor: int | None = None
        while True:
            some, cursor = await self.page(selection, cursor=cursor, limit=_PAGE)
            found += some
            if len(found) > MAX_ITEMS:
                raise TooMany
            if cursor is None:
                return found[::-1]

    async def page(
        self, selection: EventSelection, *, cursor: int | None, limit: int
    ) -> tuple[Sequence[EventRecord], int | None]:
        """Some events of a selection, newest first, and the cursor of those that follow.

        Parameters:
          selection: Which events.
          cursor: From the previous page; None for the first.
          limit: The most events; there may be fewer although more follow.
        """
        if selection.event_ids:
            return await self._by_id(selection, cursor, limit)
        batch = await newest_members(self._client, "hg:events", cursor, limit)
        events = await self._queries.events_of([member.decode() for member, _ in batch])
        following = batch[-1][1] if len(batch) == limit else None
        return [event for event in events if selection.matches(event)], following

    async def _by_id(
        self, selection: EventSelection, cursor: int | None, limit: int
    ) -> tuple[Sequence[EventRecord], int | None]:
        found = [
            event
            for event_id in dict.fromkeys(selection.event_ids)
            for event in await self._queries.events_with_id(event_id)
            if selection.matches(event) and (cursor is None or event.seq < cursor)
        ]
        page = sorted(found, key=lambda event: -event.seq)
        return page[:limit], page[limit - 1].seq if len(page) > limit else None
