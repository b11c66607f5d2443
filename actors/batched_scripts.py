"""Round trips that tasks share: what they ask of Redis in one turn of the loop goes at once.

A thousand tasks that wait for a connection each would hold each other up at every step. Each kind
of work has its own trips, so that a flood of one kind does not hold up the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, Final, TypeVar, cast

import redis.asyncio as aredis
from redis.exceptions import ResponseError

from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.call import ScriptCall
from service.jobs.lua.runner import Scripts, is_unknown
from service.redis.batching import Batcher, PendingCall

#: The most calls of one round trip: all who asked go on in one turn of the loop.
MOST_AT_ONCE: Final = 50

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
        return self._take(MOST_AT_ONCE)

    async def _send(self, batch: Sequence[PendingCall]) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipe:
            for call in batch:
                pipe.execute_command(*self.protocol.command(call.script, call.args))
            replies = await cast("Awaitable[list[Any]]", pipe.execute(raise_on_error=False))
        return [
            await self._made_known(call) if is_unknown(reply) else reply
            for call, reply in zip(batch, replies, strict=True)
        ]

    async def _made_known(self, call: PendingCall) -> Any:
        try:
            return await self.send(call.script, call.args)
        except ResponseError as error:
            return error
