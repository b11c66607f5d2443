"""How long an actor may work on one message."""

from __future__ import annotations

from typing import Any, Final

from dramatiq import Actor
from dramatiq.middleware import Middleware

#: For actors that name none: longer than all calls of an attempt together may take.
TIME_LIMIT_MS: Final = 600_000


class OverdueError(Exception):
    """An actor did not end within its time limit."""


class TimeLimits(Middleware):
    """Lets actors say how long their messages may take; the dispatcher cancels what is overdue."""

    @property
    def actor_options(self) -> set[str]:
        """`time_limit` in ms, as Dramatiq's own."""
        return {"time_limit"}


def time_limit_seconds(actor: Actor[..., Any]) -> float:
    """How long one message of an actor may take, in seconds.

    Parameters:
      actor: Its option `time_limit` (ms) counts, or else the default.
    """
    limit_ms: float = actor.options.get("time_limit", TIME_LIMIT_MS)
    return limit_ms / 1000
