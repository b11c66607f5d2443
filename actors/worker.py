"""What `dramatiq actors.worker` loads: settings, broker, actors. Nothing is connected yet."""

from __future__ import annotations

import os

import dramatiq
from dramatiq import Broker

from actors.broker import declare_actors, make_broker
from actors.dispatch import CoroutineDispatch
from actors.loop import LoopThread
from actors.runtime import Duties, Resources
from actors.stopping import StopOnce
from service.web import boot


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
    worker_broker = make_broker(settings, [stop, dispatch, resources], stop.stopping)
    declare_actors(worker_broker, lambda: resources.runtime)
    return worker_broker


broker = make_worker_broker()
dramatiq.set_broker(broker)
