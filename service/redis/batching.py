"""Calls that share round trips: what is asked in one turn of the loop goes to Redis at once.

Errors stay apart: what one call gets does not touch another.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

#: How long batches that are under way may take once nobody asks any more.
CLOSE_SECONDS: Final = 1.0


class PendingCall(NamedTuple):
    """One of a batch.

    Parameters:
      args: The ARGV of its script.
      size: What its args take, in bytes, where that is bounded.
      script: Which one, where a batch may have several.
      reply: Where its reply goes.
    """

    args: Sequence[str | bytes | float]
    size: int
    script: Any
    reply: asyncio.Future[Any]

    def answer(self, reply: Any) -> None:
        """Give the reply, or raise the error, where the call was made."""
        if self.reply.done():
            return  # whoever asked has gone
        if isinstance(reply, Exception):
            self.reply.set_exception(reply)
        else:
            self.reply.set_result(reply)


class Batcher(ABC):
    """Puts calls together and sends them, one batch after the other.

    Parameters:
      under_way: How many batches may be under way at a time.
    """

    def __init__(self, under_way: int = 1) -> None:
        self._max_in_flight = under_way
        self._waiting: list[PendingCall] = []
        self._collecting = False
        self._workers = 0
        self._tasks: set[asyncio.Task[None]] = set()  # the loop itself holds no task

    async def close(self) -> None:
        """Let what is under way end, whoever asked; its connections may be closed then."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    @abstractmethod
    def _next_batch(self) -> Sequence[PendingCall]:
        """Take the next batch from those who wait; at least one."""

    @abstractmethod
    async def _send(self, batch: Sequence[PendingCall]) -> list[Any]:
        """Make a round trip; one reply, or error, for each call."""

    async def _submit(
        self, args: Sequence[str | bytes | float], size: int = 0, script: Any = None
    ) -> Any:
        """Make a call with the next batch; parameters as those of `Call`, returns its reply."""
        call = PendingCall(args, size, script, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        if not self._collecting and self._workers < self._max_in_flight:
            self._collecting = True
            self._workers += 1
            task = asyncio.create_task(self._run_batches())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await call.reply

    def _take(self, count: int) -> Sequence[PendingCall]:
        """Take that many of those who wait."""
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _run_batches(self) -> None:
        await asyncio.sleep(0)  # for whoever else asks in this turn
        self._collecting = False
        while self._waiting:
            batch = self._next_batch()
            try:
                answers = list(zip(batch, await self._send(batch), strict=True))
            except asyncio.CancelledError:
                for call in batch:
                    call.reply.cancel()
                raise
            except Exception as error:  # noqa: BLE001 - each caller gets it
                answers = [(call, error) for call in batch]
            for call, reply in answers:
                call.answer(reply)
        # In the same turn as the last look: who asks after it finds a place.
        self._workers -= 1
