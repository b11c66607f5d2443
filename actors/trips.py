"""Round trips that tasks share: what they ask of Redis in one turn of the loop goes at once.

A thousand tasks that wait for a connection each would hold each other up at every step. Each kind
of work has its own trips, so that a flood of one kind does not hold up the other.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import redis.asyncio as aredis
from redis.exceptions import NoScriptError

from service.jobs.scripts import Scripts, Times

#: The most calls of one round trip: all who asked go on in one turn of the loop.
MOST_AT_ONCE: Final = 50


@dataclass(frozen=True)
class _Call:
    script: Any
    args: Sequence[str | bytes | float]
    reply: asyncio.Future[Any]

    def answer(self, reply: Any) -> None:
        if self.reply.done():
            return  # whoever asked was canceled
        if isinstance(reply, Exception):
            self.reply.set_exception(reply)
        else:
            self.reply.set_result(reply)


class SharedScripts(Scripts):
    """Runs the scripts of many tasks over one connection.

    Parameters:
      client: The event loop's client; one connection of it is used at a time.
      times: The times the scripts work with.
    """

    def __init__(self, client: aredis.Redis, times: Times) -> None:
        super().__init__(client, times)
        self._waiting: deque[_Call] = deque()
        self._task: asyncio.Task[None] | None = None

    async def run(self, name: str, *args: str | bytes | float) -> Any:
        """Run one script with the next batch; parameters and reply as those of `Scripts.run`."""
        call = _Call(self.script(name), args, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work_off())
        return await call.reply

    async def _work_off(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)  # for whoever else asks in this turn
            size = min(len(self._waiting), MOST_AT_ONCE)
            batch = [self._waiting.popleft() for _ in range(size)]
            try:
                replies = await self._send(batch)
            except Exception as error:  # noqa: BLE001 - each caller gets it
                replies = [error] * size
            for call, reply in zip(batch, replies, strict=True):
                call.answer(reply)

    async def _send(self, batch: Sequence[_Call]) -> list[Any]:
        replies = await self._ask(batch)
        unknown = [n for n, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:
            for source in {batch[n].script.script for n in unknown}:
                await self._client.script_load(source)
            again = await self._ask([batch[n] for n in unknown])
            for n, reply in zip(unknown, again, strict=True):
                replies[n] = reply
        return replies

    async def _ask(self, batch: Sequence[_Call]) -> list[Any]:
        async with self._client.pipeline(transaction=False) as pipe:
            for call in batch:
                pipe.evalsha(call.script.sha, 0, *cast(Any, call.args))
            return await cast("Awaitable[list[Any]]", pipe.execute(raise_on_error=False))
