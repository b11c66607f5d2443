"""Group commit: what is recorded in one turn of the loop shares one round trip.

A storm of webhooks costs a round trip a batch instead of one each, and no caller waits for more
than the batches before its own. Errors stay apart: what one call gets does not touch another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import redis.asyncio as aredis
from redis.exceptions import RedisError

#: The most calls that wait, and the most bytes they hold, before the door is closed.
MOST_WAITING: Final = 2_000
MOST_BYTES: Final = 32 * 1024 * 1024
#: The most calls of one round trip: one batch must not hold up the store.
MOST_AT_ONCE: Final = 100
#: The most round trips under way: while the store works on one batch, this process can put together
#: the next, and neither waits for the other.
MOST_UNDER_WAY: Final = 2


class Overloaded(RedisError):
    """More waits to be recorded than the store takes; the sender must come again."""


@dataclass(frozen=True)
class _Call:
    args: tuple[str | bytes, ...]
    size: int
    reply: asyncio.Future[Any]

    def answer(self, reply: Any) -> None:
        if self.reply.done():
            return  # whoever asked has gone
        if isinstance(reply, Exception):
            self.reply.set_exception(reply)
        else:
            self.reply.set_result(reply)


class GroupCommit:
    """Runs one script for many callers at a time.

    Parameters:
      client: The event loop's Redis client.
      source: The script. Its ARGV are those of all calls one after the other, its reply one for
        each call; an error among them is that call's alone.
    """

    def __init__(self, client: aredis.Redis, source: str) -> None:
        self._client = client
        self._script = client.register_script(source)
        self._waiting: list[_Call] = []
        self._bytes = 0
        self._gathers = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, *args: str | bytes) -> Any:
        """Run the script with the next batch.

        Parameters:
          args: Its ARGV for this call.

        Returns:
          Its reply to this call.

        Raises:
          Overloaded: Too much waits already; nothing was recorded.
          redis.exceptions.RedisError: The store did not answer, or refused this call.
        """
        size = sum(map(len, args))
        if len(self._waiting) >= MOST_WAITING or self._bytes + size > MOST_BYTES:
            raise Overloaded("more waits to be recorded than the store takes")
        call = _Call(args, size, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        self._bytes += size
        if not self._gathers and len(self._tasks) < MOST_UNDER_WAY:
            self._gathers = True
            task = asyncio.create_task(self._work_off())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await call.reply

    async def _work_off(self) -> None:
        await asyncio.sleep(0)  # for whoever else asks in this turn
        self._gathers = False
        while self._waiting:
            batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
            self._bytes -= sum(call.size for call in batch)
            try:
                replies = await self._send(batch)
            except Exception as error:  # noqa: BLE001 - each caller gets it
                replies = [error] * len(batch)
            for call, reply in zip(batch, replies, strict=True):
                call.answer(reply)

    async def _send(self, batch: Sequence[_Call]) -> list[Any]:
        args = [arg for call in batch for arg in call.args]
        return await cast("Awaitable[list[Any]]", self._script(args=args))
