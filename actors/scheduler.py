"""The scheduler process: `python -m actors.scheduler` sends the periodic actors their messages.

It is periodiq's own loop, made fit for a platform: it waits for Redis, skips a schedule rather
than exit when Redis is unreachable, and exits with 0 when signalled, while booting as well and
however often.
"""

# ruff: noqa: E402 - the imports below take a second, so the handlers are installed first

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def _exit(_signum: int, _frame: FrameType | None) -> None:
    # Blocked, not ignored: Python restores the default actions while it finalizes, and the alarm of
    # the next tick would kill the process then.
    signal.pthread_sigmask(signal.SIG_BLOCK, (*_SIGNALS, signal.SIGALRM))
    sys.exit(0)


if __name__ == "__main__":
    for _number in _SIGNALS:
        signal.signal(_number, _exit)

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
    """periodiq's scheduler, which survives an unreachable Redis."""

    def __init__(self, actors: list[Any]) -> None:
        super().__init__(actors)
        # A signal handler puts the alarms, and this queue's `put` may safely interrupt its `get`.
        self.alarm_q: SimpleQueue[bool] = SimpleQueue()
        # periodiq installs it only after it has set an alarm, whose default action is to kill.
        signal.signal(signal.SIGALRM, self.signal_handler)

    def send_actors(self, actors: list[Any], now: Any) -> None:
        """Send the messages, or skip them: the next ones do the same work."""
        try:
            super().send_actors(actors, now)
        except REDIS_ERRORS as error:
            _log.warning("redis error; periodic run skipped", error=type(error).__name__)


def main() -> int:
    """Send messages until told to stop."""
    settings, _config = boot()
    broker = make_broker(settings)
    declare_actors(broker, _no_runtime)
    wait_for_redis(broker.client)
    periodic = [actor for actor in broker.actors.values() if "periodic" in actor.options]
    _log.info("scheduler started", actors=sorted(actor.actor_name for actor in periodic))
    scheduler = SteadyScheduler(actors=periodic)
    if pendulum.now().second > 55:  # as periodiq's main does, to stay off the edge of a minute
        time.sleep(5)
    scheduler.schedule()
    scheduler.loop()
    return 0


def _no_runtime() -> Runtime:
    raise RuntimeError("The scheduler sends messages; it does not process them.")


if __name__ == "__main__":
    sys.exit(main())
