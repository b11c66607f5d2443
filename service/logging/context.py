"""Ids that every line of a task's log carries: whoever starts on a job binds them once.

The same as `structlog.contextvars`, but in one context variable. structlog sets one for each id and
looks through the whole context for each line, which takes a webhook 2.3 us more: the difference
between 0.74 and 0.75 of the ceiling in `make bench`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Final

from structlog.types import EventDict, WrappedLogger

_NONE: Final[Mapping[str, Any]] = MappingProxyType({})
_bound: ContextVar[Mapping[str, Any]] = ContextVar("log_ids", default=_NONE)


def bind_ids(**ids: Any) -> None:
    """Add ids to every line that this task, and those it starts, will log.

    Parameters:
      ids: By name; one that was bound before is replaced.
    """
    _bound.set({**_bound.get(), **ids})


def clear_ids() -> None:
    """Forget the ids of an earlier request."""
    _bound.set(_NONE)


def with_ids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A structlog processor: adds the bound ids; the line's own fields win."""
    return {**_bound.get(), **event}
