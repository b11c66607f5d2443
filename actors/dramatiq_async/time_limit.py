"""The time limit of an actor for one message."""

from __future__ import annotations

from typing import Any, Final

from dramatiq import Actor
from dramatiq.broker import MessageProxy
from dramatiq.middleware import Middleware

#: For actors without the option: longer than all calls of an attempt together may take.
TIME_LIMIT_MS: Final = 600_000


class TimeLimits(Middleware):
    """Declares the actor option `time_limit`; the message's processor enforces it."""

    @property
    def actor_options(self) -> set[str]:
        """`time_limit` in ms, named as Dramatiq's own."""
        return {"time_limit"}


def time_limit_seconds(actor: Actor[..., Any], message: MessageProxy) -> float:
    """The message's `time_limit`, the actor's or the default, in seconds."""
    own_ms = message.options.get("time_limit")
    limit_ms: float = own_ms or actor.options.get("time_limit", TIME_LIMIT_MS)
    return limit_ms / 1000
