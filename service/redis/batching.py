"""Batches calls: those made in one iteration of the event loop share a round trip to Redis.

Each call gets its own reply or error; one call's error does not affect the others.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

#: How long batches in flight may take when the batcher is closed.
CLOSE_SECONDS: Final = 1.0


class PendingCall(NamedTuple):
    """A call in a batch.

    Parameters:
      args: ARGV of the script.
      size: Size of the arguments in bytes, if batches are bounded by it.
      script: The script, if a batch may contain several.
      reply: Resolved with the reply.
      weight: How many records it makes, if batches are bounded by it.
    """

    args: Sequence[str | bytes | float]
    size: int
    script: Any
    reply: asyncio.Future[Any]
    weight: int = 1

    def resolve(self, reply: Any) -> None:
        """Return the reply to the caller, or raise it there if it is an error."""
        if self.reply.done():
            return  # the caller was canceled
        if isinstance(reply, Exception):
            self.reply.set_exception(reply)
        else:
            self.reply.set_result(reply)


class Batcher(ABC):
    """Collects calls and sends them in batches.

    Parameters:
      max_in_flight: The most batches in flight at a time.
    """

    def __init__(self, max_in_flight: int = 1) -> None:
        self._max_in_flight = max_in_flight
        self._waiting: list[PendingCall] = []
        self._collecting = False
        self._workers = 0
        self._tasks: set[asyncio.Task[None]] = set()  # the loop holds only weak references

    async def close(self) -> None:
        """Wait for the batches in flight, so that their connections may be closed."""
        if not self._tasks:
            return
        _, overdue = await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
        for task in overdue:
            task.cancel()
        await asyncio.gather(*overdue, return_exceptions=True)

    @abstractmethod
    def _next_batch(self) -> Sequence[PendingCall]:
        """Take the next batch from the waiting calls; at least one call."""

    @abstractmethod
    async def _send(self, batch: Sequence[PendingCall]) -> list[Any]:
        """Make one round trip; returns a reply or an exception for each call."""

    async def _submit(
        self,
        args: Sequence[str | bytes | float],
        size: int = 0,
        script: Any = None,
        weight: int = 1,
    ) -> Any:
        """Send a call with the next batch, and return its reply; parameters as in `PendingCall`."""
        call = PendingCall(args, size, script, asyncio.get_running_loop().create_future(), weight)
        self._waiting.append(call)
        if not self._collecting and self._workers < self._max_in_flight:
            self._collecting = True
            self._workers += 1
            task = asyncio.create_task(self._run_batches())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await call.reply

    def _take(self, count: int) -> Sequence[PendingCall]:
        """Take this many of the waiting calls."""
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _run_batches(self) -> None:
        await asyncio.sleep(0)  # for other calls made in this iteration
        self._collecting = False
        while self._waiting:
            batch = self._next_batch()
            try:
                replies = list(zip(batch, await self._send(batch), strict=True))
            except asyncio.CancelledError:
                for call in batch:
                    call.reply.cancel()
                raise
            except Exception as error:  # noqa: BLE001 - raised to every caller
                replies = [(call, error) for call in batch]
            for call, reply in replies:
                call.resolve(reply)
        # Nothing is awaited since the last check: a later call starts a worker of its own.
        self._workers -= 1
