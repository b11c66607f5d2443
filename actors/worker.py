"""The module that `dramatiq actors.worker` loads: settings, broker, actors; no connections yet."""

from __future__ import annotations

import os

import dramatiq
from dramatiq import Broker

from actors.dramatiq_async.shutdown import ShutdownMiddleware
from service.process.garbage_collection import freeze_gc


def make_worker_broker(stop: ShutdownMiddleware) -> Broker:
    """Make the worker's broker, with its actors declared.

    Parameters:
      stop: Installed before this, since the imports here take long.

    Raises:
      SystemExit: Settings or configuration are unusable; the message is one line that says why.
    """
    from actors.dramatiq_async.dispatcher import AsyncDispatchMiddleware
    from actors.dramatiq_async.event_loop import LoopThread
    from actors.registry import declare_actors, make_broker
    from actors.runtime import RuntimeMiddleware, WorkerConfig
    from service.config.bootstrap import boot

    settings, config = boot()
    try:
        worker_config = WorkerConfig.of(settings, config, os.environ)
    except ValueError as error:
        raise SystemExit(f"heliograph cannot start: {error}") from None
    loop = LoopThread()
    resources = RuntimeMiddleware(worker_config, loop)
    dispatch = AsyncDispatchMiddleware(
        loop, settings.worker_concurrency, stop, settings.stop_seconds
    )
    worker_broker = make_broker(settings, [stop, dispatch, resources], stop.stopping)
    declare_actors(worker_broker, lambda: resources.runtime)
    return worker_broker


_stop = ShutdownMiddleware()
_stop.install()
broker = make_worker_broker(_stop)
dramatiq.set_broker(broker)
freeze_gc()
