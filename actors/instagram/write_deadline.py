"""For how long this task may go on calling Instagram: while the claim it works for is certain.

A process that was frozen, or cut off from Redis, finds out before its next request: by then
another may be at work on the same account.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

#: Tells for how many more seconds a request may begin.
SecondsLeft = Callable[[], float]


def _no_deadline() -> float:
    return math.inf


_seconds_left: ContextVar[SecondsLeft] = ContextVar("claimed", default=_no_deadline)


class CallOverdueError(Exception):
    """The time in which a request might begin is over; it was not sent."""


@contextmanager
def request_deadline(seconds_left: SecondsLeft) -> Iterator[None]:
    """Let this task's requests begin only while there is time.

    Parameters:
      seconds_left: Asked before each request.
    """
    mark = _seconds_left.set(seconds_left)
    try:
        yield
    finally:
        _seconds_left.reset(mark)


def seconds_until_deadline() -> float:
    """Tell for how long this task's next request may still begin.

    Raises:
      CallOverdueError: No longer.
    """
    left = _seconds_left.get()()
    if left <= 0:
        raise CallOverdueError
    return left
