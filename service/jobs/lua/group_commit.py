"""Group commit: calls that are made in one turn of the event loop share one round trip.

A flood of webhooks costs a round trip a batch instead of one each, and no caller waits for more
than the batches before its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar, cast

from service.jobs.high_water_mark import HighWaterMark
from service.jobs.lua.call import ScriptCall
from service.jobs.lua.runner import Scripts
from service.redis.batching import Batcher, PendingCall
from service.redis.causes import Overloaded

#: The most calls that wait, and the most bytes they hold, before more are turned away.
MOST_WAITING: Final = 2_000
MOST_BYTES: Final = 32 * 1024 * 1024
#: The most calls of one round trip, and the most bytes of more than one: the store does nothing
#: else while it works on a batch.
MOST_AT_ONCE: Final = 100
FEW_AT_ONCE: Final = 16
#: The most jobs that the calls of one round trip create, where it is more than one call.
MOST_JOBS_AT_ONCE: Final = 50
MOST_BYTES_AT_ONCE: Final = 512 * 1024
#: The most round trips under way: while the store works on one batch, this process can put together
#: the next, and neither waits for the other.
MOST_UNDER_WAY: Final = 2


T = TypeVar("T")


class GroupCommit(Batcher):
    """Runs one script for many callers at a time.

    Its ARGV are those of all calls one after the other, its reply is one for each call; an error
    among them is that call's alone.

    Parameters:
      scripts: Runs the script.
      mark: The process' high-water mark, for a script whose first arguments are a raise of it.
    """

    def __init__(self, scripts: Scripts, mark: HighWaterMark | None = None) -> None:
        super().__init__(MOST_UNDER_WAY)
        self._scripts = scripts
        self._mark = mark
        self._bytes = 0

    async def run(self, call: ScriptCall[T], jobs: int = 1) -> T:
        """Make a call, always of the same script, with the next batch.

        Parameters:
          call: The call.
          jobs: How many jobs it creates, about.

        Raises:
          Overloaded: Too much waits already; nothing was recorded.
          redis.exceptions.RedisError: The store did not answer, or refused this call.
        """
        args = cast("Sequence[str | bytes]", call.args)
        size = sum(map(len, args))
        if len(self._waiting) >= MOST_WAITING or self._bytes + size > MOST_BYTES:
            raise Overloaded("more waits to be recorded than the store takes")
        self._bytes += size
        return call.parse(await self._submit(args, size, self._scripts.script(call.name), jobs))

    def _next_batch(self) -> Sequence[PendingCall]:
        # Half of those that wait, where many do: while the store works on them, this process
        # answers others and puts the next batch together. With all of them in one batch, the store
        # and the process would each idle while the other works.
        most = min(MOST_AT_ONCE, max(FEW_AT_ONCE, len(self._waiting) // 2))
        taken, size, jobs = 0, 0, 0
        for call in self._waiting[:most]:
            size, jobs = size + call.size, jobs + call.weight
            if taken and (size > MOST_BYTES_AT_ONCE or jobs > MOST_JOBS_AT_ONCE):
                size -= call.size
                break
            taken += 1
        self._bytes -= size
        return self._take(taken)

    async def _send(self, batch: Sequence[PendingCall]) -> list[Any]:
        raised = None if self._mark is None else self._mark.next_raise()
        args = [*(raised or ()), *(arg for call in batch for arg in call.args)]
        replies = cast("list[Any]", await self._scripts.send(batch[0].script, args))
        if self._mark is not None and raised is not None:
            self._mark.confirm(raised)
        return replies
