"""What `dramatiq actors.worker` loads: settings, broker, actors. Nothing is connected yet."""

from __future__ import annotations

import os

import dramatiq
from dramatiq import Broker, Worker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Middleware

from actors.broker import declare_actors, make_broker
from actors.dispatch import CoroutineDispatch
from actors.loop import LoopThread
from actors.runtime import Duties, Resources
from actors.stopping import StopOnce
from service.store import wait_for_redis
from service.web import boot


class Patience(Middleware):
    """Waits for Redis before the worker boots.

    Parameters:
      stop: Whether to give up, since the process is to end.
    """

    def __init__(self, stop: StopOnce) -> None:
        self._stop = stop

    def before_worker_boot(self, broker: Broker, _worker: Worker) -> None:
        """Wait; end the process when it is told to stop meanwhile."""
        assert isinstance(broker, RedisBroker)  # noqa: S101 - the one it is made for
        if not wait_for_redis(broker.client, self._stop.stopping):
            raise SystemExit(0)


def make_worker_broker() -> Broker:
    """The worker's broker, or one line about what is missing.

    Raises:
      SystemExit: Settings or configuration cannot be used.
    """
    settings, config = boot()
    try:
        duties = Duties.of(settings, config, os.environ)
    except ValueError as error:
        raise SystemExit(f"heliograph cannot start: {error}") from None
    loop, stop = LoopThread(), StopOnce()
    resources = Resources(duties, loop)
    dispatch = CoroutineDispatch(loop, settings.worker_concurrency)
    worker_broker = make_broker(settings, [stop, Patience(stop), dispatch, resources])
    declare_actors(worker_broker, lambda: resources.runtime)
    return worker_broker


broker = make_worker_broker()
dramatiq.set_broker(broker)
