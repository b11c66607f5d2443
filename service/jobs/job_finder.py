"""Finds jobs by what they are for, where they came from and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import redis.asyncio as aredis

from service.jobs.job_filter import JobFilter
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.find_jobs import find_jobs
from service.jobs.lua.runner import Scripts
from service.jobs.person import Person, PersonFinder
from service.jobs.queries import JobQueries, Page

#: Entries of indexes that one script call looks at, which blocks the store meanwhile, and the most
#: calls for one page: a filter that hardly any of many jobs meet has pages with few of them.
EFFORT: Final = 1_000
MAX_CALLS: Final = 3


@dataclass(frozen=True)
class FoundJobs:
    """A page of what was found.

    Parameters:
      ids: The jobs, newest first. There may be fewer than asked for although more follow.
      next: The cursor of the next page, None at the end.
    """

    ids: Sequence[str]
    next: int | None


class JobFinder:
    """Finds jobs.

    Parameters:
      client: The event loop's Redis client.
      script_config: Has the keys of persons.
      queries: Reads what was found.
    """

    def __init__(
        self, client: aredis.Redis, script_config: ScriptConfig, queries: JobQueries
    ) -> None:
        self._scripts = Scripts(client, script_config)
        self._keys = script_config.person_keys
        self._persons = PersonFinder(client, script_config.person_keys)
        self._queries = queries

    async def page(self, job_filter: JobFilter, *, cursor: int | None, limit: int) -> Page:
        """A page of jobs as the API shows them.

        Parameters:
          cursor: From the previous page; None for the first.
          limit: The most jobs on the page; it may have fewer although more follow.
        """
        found = await self.find(job_filter, cursor=cursor, limit=limit)
        records = await self._queries.records(found.ids)
        # A job may have changed its status since it was found.
        wanted = job_filter.statuses
        shown = [record for record in records if not wanted or record.status in wanted]
        return Page(await self._queries.to_public(shown), found.next)

    async def find(self, job_filter: JobFilter, *, cursor: int | None, limit: int) -> FoundJobs:
        """The ids of jobs, newest first.

        Parameters:
          cursor: From the previous page; None for the first.
          limit: The most ids, at least 1.
        """
        query = await self._query(job_filter)
        ids: list[str] = []
        for _ in range(MAX_CALLS):
            call = find_jobs(query, cursor, limit - len(ids), EFFORT)
            reply = await self._scripts.run(call)
            ids += reply.ids
            cursor = reply.next
            if cursor is None or len(ids) >= limit:
                break
        return FoundJobs(ids, cursor)

    async def _query(self, job_filter: JobFilter) -> bytes:
        query = job_filter.query()
        if job_filter.to is not None:
            query["person"] = self._person(await self._persons.find(job_filter.to))
        if job_filter.event_id is not None:
            query["ids"] = await self._jobs_of_event(job_filter.event_id, job_filter.source)
        return orjson.dumps(query)

    def _person(self, person: Person) -> dict[str, Any]:
        return {
            "asked": person.asked,
            "names": person.names,
            "keys": [key for name in person.names for key in person.keys[name]],
            "listed_under": self._keys.fingerprint,
        }

    async def _jobs_of_event(self, event_id: str, source: str | None) -> list[str]:
        """The jobs that the events with this id list; each source may have one."""
        events = await self._queries.events_with_id(event_id)
        ids = (job for event in events if source in (None, event.source) for job in event.jobs)
        return list(dict.fromkeys(ids))
