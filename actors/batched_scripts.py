"""Script calls of many tasks in shared round trips: those of one loop iteration go together.

A thousand tasks that each wait for a connection would delay each other at every step. Each kind
of work has a batcher of its own, so that a flood of one kind does not delay the other.
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
from service.redis.causes import NotDurable

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
        scripts = [call.script for call in batch]
        confirmation = self._confirmation.command(script.name for script in scripts)
        async with self._client.pipeline(transaction=False) as pipe:
            for call in batch:
                pipe.execute_command(*self.protocol.command(call.script, call.args))
            if confirmation is not None:
                pipe.execute_command(*confirmation)
            replies = await cast("Awaitable[list[Any]]", pipe.execute(raise_on_error=False))
        if confirmation is not None:
            *replies, confirmed = replies
            replies = await self._check_durable(scripts, replies, confirmed)
        return [
            await self._load_and_run(call) if is_unknown(reply) else reply
            for call, reply in zip(batch, replies, strict=True)
        ]

    async def _load_and_run(self, call: PendingCall) -> Any:
        try:
            return await self.send(call.script, call.args)
        except (ResponseError, NotDurable) as error:
            return error
