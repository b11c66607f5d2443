"""The time limit of an actor for one message."""

from __future__ import annotations

from typing import Any, Final

from dramatiq import Actor
from dramatiq.middleware import Middleware

#: For actors without the option: longer than all calls of an attempt together may take.
TIME_LIMIT_MS: Final = 600_000


class OverdueError(Exception):
    """An actor exceeded its time limit."""


class TimeLimits(Middleware):
    """Declares the actor option `time_limit`; the dispatcher enforces it."""

    @property
    def actor_options(self) -> set[str]:
        """`time_limit` in ms, named as Dramatiq's own."""
        return {"time_limit"}


def time_limit_seconds(actor: Actor[..., Any]) -> float:
    """The actor's `time_limit` or the default, in seconds."""
    limit_ms: float = actor.options.get("time_limit", TIME_LIMIT_MS)
    return limit_ms / 1000
