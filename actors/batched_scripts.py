"""Script calls of many tasks in shared round trips: those of one loop iteration go together.

A thousand tasks that each wait for a connection would delay each other at every step. Each kind
of work has a batcher of its own, so that a flood of one kind does not delay the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import redis.asyncio as aredis

from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.call import ScriptCall
from service.jobs.lua.runner import Scripts
from service.redis.batching import Batcher, PendingCall

#: Calls per round trip: all their callers resume in one iteration of the loop.
MAX_BATCH: Final = 50

T = TypeVar("T")


class BatchedScripts(Batcher, Scripts):
    """Runs the scripts of many tasks over one connection.

    Parameters:
      client: The event loop's client; one connection of it is used at a time.
      script_config: What the scripts work with.
    """

    def __init__(self, client: aredis.Redis, script_config: ScriptConfig) -> None:
        Batcher.__init__(self)
        Scripts.__init__(self, client, script_config)

    async def run(self, call: ScriptCall[T]) -> T:
        """Make a call with the next batch; raises as `Scripts.run` does."""
        return call.parse(await self._submit(call.args, script=self.script(call.name)))

    def _next_batch(self) -> Sequence[PendingCall]:
        return self._take(MAX_BATCH)

    async def _send(self, batch: Sequence[PendingCall]) -> list[Any]:
        return await self.send_all([(call.script, call.args) for call in batch])
