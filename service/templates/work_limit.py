"""What one rendering may cost: steps in proportion to the data, and processor time.

Steps are the same on every machine. The time is the thread's own processor time, so a busy machine
fails no rule; it is read seldom, because reading it is a system call.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextvars import ContextVar
from typing import Any, Final, ParamSpec

from jinja2 import UndefinedError

from service.templates.errors import FilterError

#: Characters and items that filters and tests may look at.
MAX_STEPS: Final = 2_000_000
MAX_SECONDS: Final = 0.05

_STEPS_BETWEEN_LOOKS: Final = 10_000

P = ParamSpec("P")


class WorkLimit:
    """The steps and time that are left to one rendering."""

    __slots__ = ("_deadline", "_left", "_next_look")

    def __init__(self) -> None:
        self._left = MAX_STEPS
        self._next_look = MAX_STEPS - _STEPS_BETWEEN_LOOKS
        self._deadline = 0.0

    def charge(self, steps: int) -> None:
        """Take steps; raise FilterError if none or no time is left."""
        self._left -= steps
        if self._left < self._next_look:
            self.check_time()

    def check_time(self) -> None:
        """Raise FilterError if steps or time are used up; the first look starts the time."""
        now = time.thread_time()
        self._deadline = self._deadline or now + MAX_SECONDS
        self._next_look = self._left - _STEPS_BETWEEN_LOOKS
        if self._left < 0 or now > self._deadline:
            raise FilterError("the template takes too long on this data")


#: That of the rendering that runs in this thread; None while templates are compiled.
WORK_LIMIT: Final[ContextVar[WorkLimit | None]] = ContextVar("WORK_LIMIT", default=None)


def metered(name: str, function: Callable[P, Any]) -> Callable[P, Any]:
    """Return a filter or test that is charged for its arguments, and fails with its name.

    Parameters:
      name: Its name in templates.
      function: The filter or test; any error that it raises becomes a FilterError without data.
    """

    @functools.wraps(function)
    def charged(*args: P.args, **options: P.kwargs) -> Any:
        limit = WORK_LIMIT.get()
        if limit is None:
            return function(*args, **options)
        limit.charge(_size(args) if not options else _size((*args, *options.values())))
        try:
            result = function(*args, **options)
        except (FilterError, UndefinedError):
            raise
        except Exception as error:  # noqa: BLE001 - fails the rule, with the name of the filter
            # Without the cause, because Python's messages quote values.
            message = f"{name}: the value or its arguments do not fit ({type(error).__name__})"
            raise FilterError(message) from None
        if isinstance(result, _MEASURED):  # the common case; the check for iterators is slow
            return result
        return _charged_items(result, limit) if isinstance(result, Iterator) else result

    return charged


def metered_all(functions: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """Return filters or tests that are charged."""
    return {name: metered(name, function) for name, function in functions.items()}


def _size(values: Iterable[Any]) -> int:
    size = 1
    for value in values:
        if isinstance(value, _MEASURED):
            size += len(value)
    return size


def _charged_items(items: Iterator[Any], limit: WorkLimit) -> Iterator[Any]:
    for item in items:
        limit.charge(1)
        yield item


_MEASURED: Final[tuple[type[Sized], ...]] = (str, list, tuple, dict)
