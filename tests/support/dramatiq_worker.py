"""A real worker with one actor that notes what it is given, and messages for it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import dramatiq
import redis
from dramatiq import Broker, Worker
from dramatiq.middleware import Middleware
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from actors.dramatiq_async.broker import WaitingRedisBroker
from actors.dramatiq_async.dispatcher import AsyncDispatchMiddleware
from actors.dramatiq_async.event_loop import LoopThread
from actors.dramatiq_async.queue_notifier import NOTIFY_KEY
from actors.dramatiq_async.shutdown import ShutdownMiddleware
from actors.registry import make_broker
from service.config.settings import Settings
from service.jobs.actor_routes import NAMESPACE

QUEUE: Final = "actions"
#: Few, so that messages which keep their prefetch slots are noticed.
PREFETCH: Final = 2


def settings_for(url: str) -> Settings:
    """Settings of which only the store matters."""
    return Settings.model_construct(redis_url=url)


def message(**changes: Any) -> dict[str, Any]:
    """A message in the scripts' format."""
    return {
        "queue_name": QUEUE,
        "actor_name": "note",
        "args": ["good"],
        "kwargs": {},
        "options": {},
        "message_id": str(uuid.uuid4()),
        "message_timestamp": 0,
        **changes,
    }


def enqueue(
    store: redis.Redis,
    data: bytes | dict[str, Any] | None,
    queue: str = QUEUE,
    *,
    notify: bool = True,
) -> str:
    """Put a message, valid or not, on a queue and notify the consumers."""
    message_id = str(uuid.uuid4())
    if isinstance(data, dict):
        if isinstance(data["options"], dict):
            data["options"] = {"redis_message_id": message_id, **data["options"]}
        data = json.dumps(data).encode()
    if data is not None:
        store.hset(f"{NAMESPACE}:{queue}.msgs", message_id, data)
    store.rpush(f"{NAMESPACE}:{queue}", message_id)
    if notify:
        store.xadd(f"{NOTIFY_KEY}:{queue}", {"r": "1"}, maxlen=1, approximate=False)
    return message_id


@contextmanager
def running_worker(
    url: str,
    note: Callable[[Any], Awaitable[None]],
    stop_seconds: float = 5,
    *,
    prefetch: int = PREFETCH,
    queues: Sequence[str] = (QUEUE,),
    **options: Any,
) -> Iterator[tuple[WaitingRedisBroker, Worker]]:
    """A worker with one actor `note`, stopped when the block ends.

    Parameters:
      url: The store's URL.
      note: The actor's function.
      stop_seconds: How long it may keep running when the worker stops.
      prefetch: Messages fetched ahead, per queue.
      queues: The queues to consume; all are for the one actor.
      options: The actor's options.
    """
    stop = ShutdownMiddleware()
    dispatch = AsyncDispatchMiddleware(LoopThread(), prefetch, stop, stop_seconds)
    broker = make_broker(settings_for(url), [stop, dispatch], stop.stopping)
    dramatiq.actor(broker=broker, actor_name="note", queue_name=queues[0], **options)(note)
    for queue in queues:
        broker.declare_queue(queue)
    worker = Worker(broker, worker_timeout=50)
    worker.start()
    try:
        yield broker, worker
    finally:
        worker.stop()
        broker.close()
        broker.client.close()


def queues_are_empty(store: redis.Redis) -> bool:
    """Whether no message is left on any queue, fetched or not."""
    kept = (b":__heartbeats__",)
    return [key for key in store.scan_iter(f"{NAMESPACE}:*") if not key.endswith(kept)] == []


def results_in(store: redis.Redis) -> Any:
    """Dramatiq's middleware for results, which keeps them in the store."""
    kind: Any = Results
    return kind(backend=RedisBackend(client=store))


async def unused(_word: Any) -> None:
    """The actor that every worker has."""


@contextmanager
def worker_with(url: str, *middleware: Middleware) -> Iterator[WaitingRedisBroker]:
    """A running worker with further middleware."""
    with running_worker(url, unused, 0.2) as (broker, _):
        for each in middleware:
            broker.add_middleware(each)
        yield broker


def declare(broker: Broker, function: Callable[..., Any], **options: Any) -> Any:
    """Declare an actor on the queue that the worker consumes."""
    return dramatiq.actor(broker=broker, queue_name=QUEUE, **options)(function)
