"""Which stored events an operation replays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.events.event_filter import EventFilter
from service.events.event_finder import EventFinder
from service.jobs.queries import JobQueries
from service.jobs.records import EventRecord
from service.operations.store import MAX_ITEMS, TooMany

#: Events read in one round trip.
_PAGE = 200


@dataclass(frozen=True)
class EventSelection:
    """Which events to replay.

    Parameters:
      filter: They meet this.
      event_ids: They have one of these ids; empty for any.
    """

    filter: EventFilter
    event_ids: tuple[str, ...] = ()


class EventSelector:
    """Finds the events of a selection.

    Parameters:
      finder: Finds events by a filter.
      queries: Reads events.
    """

    def __init__(self, finder: EventFinder, queries: JobQueries) -> None:
        self._finder = finder
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
        return await self._finder.find(selection.filter, cursor=cursor, limit=limit)

    async def _by_id(
        self, selection: EventSelection, cursor: int | None, limit: int
    ) -> tuple[Sequence[EventRecord], int | None]:
        matches = _matcher(selection.filter)
        found = [
            event
            for event_id in dict.fromkeys(selection.event_ids)
            for event in await self._queries.events_with_id(event_id)
            if matches(event) and (cursor is None or event.seq < cursor)
        ]
        page = sorted(found, key=lambda event: -event.seq)
        return page[:limit], page[limit - 1].seq if len(page) > limit else None


def _matcher(asked: EventFilter) -> Callable[[EventRecord], bool]:
    """Whether an event that was found by its id meets the filter."""
    matches_type = asked.glob() or (lambda event_type: asked.type in (None, event_type))
    until = asked.created_until_ms

    def matches(event: EventRecord) -> bool:
        return (
            asked.source in (None, event.source)
            and (not asked.statuses or event.status in asked.statuses)
            and matches_type(event.type)
            and (asked.created_since_ms or 0) <= event.received_ms
            and (until is None or event.received_ms < until)
            and _meets_rules(asked, event)
        )

    return matches


def _meets_rules(asked: EventFilter, event: EventRecord) -> bool:
    if asked.outcome == "no_rule_matched":
        return not event.jobs
    if asked.rule is None and asked.outcome is None:
        return True
    return any(
        asked.rule in (None, note["rule"]) and asked.outcome in (None, note["outcome"])
        for note in event.notes
    )
