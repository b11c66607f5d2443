"""Script calls of many tasks in shared round trips: those of one loop iteration go together.

A thousand tasks that each wait for a connection would delay each other at every step. Each kind
of work has a batcher of its own, so that a flood of one kind does not delay the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, Final, cast

import redis.asyncio as aredis
from redis.exceptions import ResponseError

from service.jobs.lua.builder import Times
from service.jobs.lua.runner import Scripts, is_unknown
from service.redis.batching import Batcher, PendingCall

#: Calls per round trip: all their callers resume in one iteration of the loop.
MAX_BATCH: Final = 50


class BatchedScripts(Batcher, Scripts):
    """Runs the scripts of many tasks over one connection.

    Parameters:
      client: The event loop's client; one connection of it is used at a time.
      times: The times the scripts work with.
    """

    def __init__(self, client: aredis.Redis, times: Times) -> None:
        Batcher.__init__(self)
        Scripts.__init__(self, client, times)

    async def run(self, name: str, *args: str | bytes | float) -> Any:
        """Run one script with the next batch; parameters and reply as those of `Scripts.run`."""
        return await self._submit(args, script=self.script(name))

    def _next_batch(self) -> Sequence[PendingCall]:
        return self._take(MAX_BATCH)

    async def _send(self, batch: Sequence[PendingCall]) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipe:
            for call in batch:
                pipe.execute_command(*self.form.command(call.script, call.args))
            replies = await cast("Awaitable[list[Any]]", pipe.execute(raise_on_error=False))
        return [
            await self._load_and_run(call) if is_unknown(reply) else reply
            for call, reply in zip(batch, replies, strict=True)
        ]

    async def _load_and_run(self, call: PendingCall) -> Any:
        try:
            return await self.call(call.script, call.args)
        except ResponseError as error:
            return error
