"""Keeps every job in the indexes by rule, source, error code and metadata, whatever release created
or ended it.

New jobs are listed when they are created. A pass over all jobs, in the order of their creation,
lists those of an earlier release; queries do not trust these indexes beyond where it has come. A
second pass, which starts again whenever it has ended, finds the errors that workers of an earlier
release have stored since, during a deploy.
"""

from __future__ import annotations

from typing import Final, Literal

import redis.asyncio as aredis

from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.index_jobs import index_jobs
from service.jobs.lua.runner import Scripts

#: Jobs of one script call, which blocks the store meanwhile.
_BATCH: Final = 200


class JobIndexes:
    """The passes over all jobs.

    Parameters:
      client: The event loop's Redis client.
      script_config: What the scripts work with.
    """

    def __init__(self, client: aredis.Redis, script_config: ScriptConfig) -> None:
        self._scripts = Scripts(client, script_config)

    async def complete(self, limit: int) -> int:
        """List jobs that were created since the last call; returns how many entries were missing.

        Parameters:
          limit: The most jobs to look at.
        """
        return await self._walk("new", limit)

    async def recheck(self, limit: int) -> int:
        """Go on with the round; returns how many entries were missing.

        Parameters:
          limit: The most jobs to look at.
        """
        return await self._walk("again", limit)

    async def _walk(self, which: Literal["new", "again"], limit: int) -> int:
        missing = 0
        for at in range(0, limit, _BATCH):
            batch = min(_BATCH, limit - at)
            reply = await self._scripts.run(index_jobs(which, batch))
            missing += reply.missing
            if reply.looked < batch:
                break
        return missing
