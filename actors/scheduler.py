"""The calendar's process: `python -m actors.scheduler` sends the periodic actors their messages.

periodiq's own loop with what a platform needs around it: it waits for Redis, misses a tick rather
than die when Redis is away, and ends with 0 when told to, also while it boots and however often.
"""

# ruff: noqa: E402 - what follows takes a second to import

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def _end(_signum: int, _frame: FrameType | None) -> None:
    # Blocked, not ignored: Python restores the default actions while it finalizes, and the alarm of
    # the next tick would kill the process then.
    signal.pthread_sigmask(signal.SIG_BLOCK, (*_SIGNALS, signal.SIGALRM))
    sys.exit(0)


if __name__ == "__main__":
    for _number in _SIGNALS:
        signal.signal(_number, _end)

import time
from queue import SimpleQueue
from typing import Any

import pendulum
from periodiq import Scheduler

from actors.registry import declare_actors, make_broker
from actors.runtime import Runtime
from service.config.bootstrap import boot
from service.logging.setup import get_logger
from service.redis.client import REDIS_ERRORS, wait_for_redis

_log = get_logger(__name__)


class SteadyScheduler(Scheduler):  # type: ignore[misc]
    """periodiq's scheduler, for which a Redis that is away is no reason to end."""

    def __init__(self, actors: list[Any]) -> None:
        super().__init__(actors)
        # The alarm is put by a signal handler: this queue's `put` may interrupt its `get`.
        self.alarm_q: SimpleQueue[bool] = SimpleQueue()
        # periodiq installs it only after it has set an alarm, whose default action is to kill.
        signal.signal(signal.SIGALRM, self.signal_handler)

    def send_actors(self, actors: list[Any], now: Any) -> None:
        """Send the tick, or miss it: the next one does the same work."""
        try:
            super().send_actors(actors, now)
        except REDIS_ERRORS as error:
            _log.warning("a tick was missed: redis does not answer", cause=type(error).__name__)


def main() -> int:
    """Send ticks until told to stop."""
    settings, _config = boot()
    broker = make_broker(settings)
    declare_actors(broker, _no_runtime)
    wait_for_redis(broker.client)
    periodic = [actor for actor in broker.actors.values() if "periodic" in actor.options]
    _log.info("scheduler", actors=sorted(actor.actor_name for actor in periodic))
    scheduler = SteadyScheduler(actors=periodic)
    if pendulum.now().second > 55:  # as periodiq's main does: not on the edge of a minute
        time.sleep(5)
    scheduler.schedule()
    scheduler.loop()
    return 0


def _no_runtime() -> Runtime:
    raise RuntimeError("The scheduler sends messages; it does not work on them.")


if __name__ == "__main__":
    sys.exit(main())
