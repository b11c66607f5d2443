"""Creates the jobs of events that have more than one step creates (lua/lib/deferred_jobs.lua)."""

from __future__ import annotations

from typing import cast

import redis.asyncio as aredis

from service.jobs.lua.create_deferred_jobs import JOBS_AT_ONCE, create_deferred_jobs
from service.jobs.lua.runner import Scripts


async def finish_event(scripts: Scripts, event: str) -> None:
    """Create what is left of an event's jobs.

    Parameters:
      scripts: Runs the scripts.
      event: The event (source:id).
    """
    while await scripts.run(create_deferred_jobs(event, JOBS_AT_ONCE)):
        pass


async def finish_events(client: aredis.Redis, scripts: Scripts) -> None:
    """Create what is left of every event's jobs: until then a job is in no index.

    Events that are accepted meanwhile are left to those who accept them.

    Parameters:
      client: A Redis client.
      scripts: Runs the scripts.

    Raises:
      redis.exceptions.ResponseError: A job cannot be created.
    """
    for event in cast("list[bytes]", await client.zrange("hg:unfinished", 0, -1)):
        await finish_event(scripts, event.decode())
