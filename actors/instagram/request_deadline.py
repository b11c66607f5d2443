"""The deadline for starting requests to Instagram: the end of the lease the task works under.

A process that was frozen or cut off from Redis notices before its next request; by then another
process may be working on the same account.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

#: Returns for how many more seconds a request may be started.
SecondsUntilDeadline = Callable[[], float]


def _no_deadline() -> float:
    return math.inf


_seconds_left: ContextVar[SecondsUntilDeadline] = ContextVar("seconds_left", default=_no_deadline)


class CallOverdueError(Exception):
    """The deadline for starting a request has passed; the request was not sent."""


@contextmanager
def request_deadline(seconds_left: SecondsUntilDeadline) -> Iterator[None]:
    """Let this task start requests only until the deadline.

    Parameters:
      seconds_left: Called before each request.
    """
    mark = _seconds_left.set(seconds_left)
    try:
        yield
    finally:
        _seconds_left.reset(mark)


def seconds_until_deadline() -> float:
    """Return for how many more seconds this task may start a request; infinite by default.

    Raises:
      CallOverdueError: The deadline has passed.
    """
    left = _seconds_left.get()()
    if left <= 0:
        raise CallOverdueError
    return left
