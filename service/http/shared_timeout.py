"""A time limit for many at once, with one timer for all of them.

`asyncio.timeout` makes a timer each: for the door that took longer than reading a body that is
there already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class SharedTimeout:
    """Ends what takes longer than so many seconds.

    Parameters:
      seconds: How long anything may take; all the same, so that who came first is late first.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._ends: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something that this task does not wait for longer than that.

        Parameters:
          work: What to do.

        Raises:
          TimeoutError: It took longer, and was canceled.
        """
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None  # noqa: S101 - it runs a coroutine
        cancels = task.cancelling()
        self._ends[task] = end = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_at(end, self._cancel_late, loop)
        try:
            return await work
        except asyncio.CancelledError:
            # As in `asyncio.timeout`: somebody else may have canceled it, too.
            if task in self._late and task.uncancel() <= cancels:
                raise TimeoutError from None
            raise
        finally:
            self._ends.pop(task, None)
            self._late.discard(task)

    def _cancel_late(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        while self._ends:
            task, end = next(iter(self._ends.items()))
            if end > loop.time():
                self._timer = loop.call_at(end, self._cancel_late, loop)
                return
            del self._ends[task]
            self._late.add(task)
            task.cancel()
