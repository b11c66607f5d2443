"""A complete worker in the test process, so that tests can change its constants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dramatiq import Worker

from actors.dramatiq_async.dispatcher import AsyncDispatchMiddleware
from actors.dramatiq_async.event_loop import LoopThread
from actors.dramatiq_async.shutdown import ShutdownMiddleware
from actors.registry import declare_actors, make_broker
from actors.runtime import RuntimeMiddleware, WorkerConfig
from deploy.local.stack import Stack
from service.config.config import load_config
from service.config.settings import load_settings


@contextmanager
def in_process_worker(stack: Stack) -> Iterator[None]:
    """Run a worker until the block ends.

    Parameters:
      stack: The stack whose store, fake Instagram and receiver it uses.
    """
    environ = stack.environ()
    settings = load_settings(environ)
    duties = WorkerConfig.of(settings, load_config(settings.config_path), environ)
    loop, stop = LoopThread(), ShutdownMiddleware()
    resources = RuntimeMiddleware(duties, loop)
    dispatch = AsyncDispatchMiddleware(
        loop, settings.worker_concurrency, stop, settings.stop_seconds
    )
    broker = make_broker(settings, [stop, dispatch, resources], stop.stopping)
    declare_actors(broker, lambda: resources.runtime)
    worker = Worker(broker, worker_timeout=50)
    worker.start()
    try:
        yield
    finally:
        worker.stop()
        broker.close()
        broker.client.close()
