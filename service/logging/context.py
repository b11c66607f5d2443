"""Ids that every line of a task's log carries: whoever starts on a job binds them once.

As `structlog.contextvars`, but one variable holds all of them: to look through a whole context for
each line, and to set a variable for each id, took a door longer than to write the line.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Final

from structlog.types import EventDict, WrappedLogger

_NONE: Final[Mapping[str, Any]] = MappingProxyType({})
_bound: ContextVar[Mapping[str, Any]] = ContextVar("ids of the log", default=_NONE)


def bind_ids(**ids: Any) -> None:
    """Put ids on every line that this task, and those it starts, will write.

    Parameters:
      ids: By name; one that was bound before is replaced.
    """
    _bound.set({**_bound.get(), **ids})


def clear_ids() -> None:
    """Begin without those of an earlier request."""
    _bound.set(_NONE)


def with_ids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: adds what is bound; what the line says itself goes first."""
    return {**_bound.get(), **event}
