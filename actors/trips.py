"""Round trips that tasks share: what they ask of Redis in one turn of the loop goes at once.

A thousand tasks that wait for a connection each would hold each other up at every step. Each kind
of work has its own trips, so that a flood of one kind does not hold up the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any, Final, cast

import redis.asyncio as aredis
from redis.exceptions import NoScriptError

from service.jobs.batches import Batches, Call
from service.jobs.scripts import Scripts, Times

#: The most calls of one round trip: all who asked go on in one turn of the loop.
MOST_AT_ONCE: Final = 50


class SharedScripts(Batches, Scripts):
    """Runs the scripts of many tasks over one connection.

    Parameters:
      client: The event loop's client; one connection of it is used at a time.
      times: The times the scripts work with.
    """

    def __init__(self, client: aredis.Redis, times: Times) -> None:
        Batches.__init__(self)
        Scripts.__init__(self, client, times)

    async def run(self, name: str, *args: str | bytes | float) -> Any:
        """Run one script with the next batch; parameters and reply as those of `Scripts.run`."""
        return await self._ask(args, script=self.script(name))

    def _next_batch(self) -> Sequence[Call]:
        return self._taken(MOST_AT_ONCE)

    async def _send(self, batch: Sequence[Call]) -> list[Any]:
        replies = await self._trip(batch)
        unknown = [n for n, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:
            for source in {batch[n].script.script for n in unknown}:
                await self._client.script_load(source)
            again = await self._trip([batch[n] for n in unknown])
            for n, reply in zip(unknown, again, strict=True):
                replies[n] = reply
        return replies

    async def _trip(self, batch: Sequence[Call]) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipe:
            for call in batch:
                pipe.evalsha(call.script.sha, 0, *cast(Any, call.args))
            return await cast("Awaitable[list[Any]]", pipe.execute(raise_on_error=False))
