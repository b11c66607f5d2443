"""Heliograph's broker and dispatch in the form that Dramatiq's own tests expect.

Their actors are plain functions, of which a worker runs as many at a time as it has threads; here
only coroutines run. So the adapter turns each function into a coroutine that waits for one of as
many threads. Everything else is the code of `actors/dramatiq_async`.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from dramatiq import Actor, Broker, Message, QueueJoinTimeout, QueueNotFound, Worker
from dramatiq.broker import MessageProxy
from dramatiq.common import q_name
from dramatiq.middleware import AgeLimit, Callbacks, Middleware, Pipelines, Retries

from actors.dramatiq_async.broker import WaitingRedisBroker
from actors.dramatiq_async.dispatcher import AsyncDispatchMiddleware
from actors.dramatiq_async.event_loop import LoopThread
from actors.dramatiq_async.shutdown import ShutdownMiddleware
from actors.dramatiq_async.time_limit import TimeLimits
from service.redis.client import sync_client

#: Of the broker; the tests' own threads use it, too.
_CONNECTIONS = 16
_STOP_SECONDS = 5.0
_JOIN_INTERVAL_SECONDS = 0.02
_POLL_SECONDS = 0.001
#: How long `enqueue` waits at most; queues may be full.
_HANDOVER_SECONDS = 0.1


class SuiteBroker(WaitingRedisBroker):
    """The broker, with Dramatiq's default middleware as far as it fits coroutines.

    TimeLimits is there in place of Dramatiq's TimeLimit; ShutdownNotifications is left out: both
    interrupt threads.
    """

    def __init__(self, url: str) -> None:
        super().__init__(
            lambda: False,
            {},
            client=sync_client(url, max_connections=_CONNECTIONS),
            maintenance_chance=0,
            middleware=[AgeLimit(), TimeLimits(), Callbacks(), Pipelines(), Retries()],
        )
        self.executor: Executor | None = None
        self.worker: Worker | None = None

    def declare_actor(self, actor: Actor[..., Any]) -> None:
        """Declare an actor that may be a plain function."""
        if not inspect.iscoroutinefunction(inspect.unwrap(actor.fn)):
            actor.fn = self._as_coroutine_function(actor.fn)
        super().declare_actor(actor)

    def _as_coroutine_function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """What calls a function when called, and what unwrapped waits for a thread to call it."""

        async def run(*args: Any, **kwargs: Any) -> Any:
            call = functools.partial(contextvars.copy_context().run, function, *args, **kwargs)
            return await asyncio.get_running_loop().run_in_executor(self.executor, call)

        @functools.wraps(function)
        def call_directly(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        call_directly.__wrapped__ = run
        return call_directly


class StubLikeBroker(SuiteBroker):
    """The broker with what tests ask of StubBroker: that `join` raises what failed messages raised.

    StubBroker takes it from its dead letters; Heliograph's broker has none.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.queues = _QueuesInRedis(self)
        self._rejected = _Rejected()
        self.add_middleware(self._rejected)

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Enqueue a message, and wait for a moment until a consumer has it.

        In memory it is handed over at once, and tests look for it then.
        """
        enqueued = super().enqueue(message, delay=delay)
        deadline = time.monotonic() + _HANDOVER_SECONDS
        while time.monotonic() < deadline and self._is_coming(enqueued):
            time.sleep(_POLL_SECONDS)  # Redis tells nobody of a message that is fetched
        return enqueued

    def _is_coming(self, message: Message[Any]) -> bool:
        consumers = {} if self.worker is None else self.worker.consumers
        if message.queue_name not in consumers or consumers[message.queue_name].paused:
            return False
        key = f"{self.namespace}:{message.queue_name}"
        return self.client.lpos(key, message.options["redis_message_id"]) is not None

    def join(  # type: ignore[override]
        self, queue_name: str, *, timeout: int | None = None, fail_fast: bool = True
    ) -> None:
        """Wait until a queue is empty; parameters and errors as StubBroker's."""
        if queue_name not in self.queues:
            raise QueueNotFound(queue_name)  # type: ignore[no-untyped-call]
        deadline = None if timeout is None else time.monotonic() + timeout / 1000
        while self.do_qsize(queue_name):
            if deadline is not None and time.monotonic() > deadline:
                raise QueueJoinTimeout(queue_name)  # type: ignore[no-untyped-call]
            time.sleep(_JOIN_INTERVAL_SECONDS)  # nor of a queue that is empty
        errors = self._rejected.errors.pop(queue_name, [])
        if errors and fail_fast:
            raise errors[0]


class _QueuesInRedis(set[str]):
    """The queues' names, with the access by name that StubBroker's queues in memory have."""

    def __init__(self, broker: WaitingRedisBroker) -> None:
        super().__init__()
        self._broker = broker

    def __getitem__(self, name: str) -> _QueueInRedis:
        return _QueueInRedis(self._broker, name)


@dataclass(frozen=True)
class _QueueInRedis:
    """One queue, past `Broker.enqueue` and the consumers."""

    broker: WaitingRedisBroker
    name: str

    def put(self, data: bytes) -> None:
        """Put an encoded message on the queue as it is."""
        message = Message.decode(data).copy(options={"redis_message_id": str(uuid.uuid4())})
        self.broker.do_enqueue(self.name, message.options["redis_message_id"], message.encode())
        self.broker.notifier.event_for(self.name).set()

    def get(self, **_timeout: float) -> bytes:
        """Take the next message, encoded; there is one, so that nothing is waited for."""
        [data] = self.broker.do_fetch(self.name, 1)
        return bytes(data)


class _Rejected(Middleware):
    """Remembers by queue what failed messages raised."""

    def __init__(self) -> None:
        self.errors: defaultdict[str, list[BaseException]] = defaultdict(list)

    def before_nack(self, _broker: Broker, message: MessageProxy) -> None:
        """Before, so that it is there when the queue is empty."""
        error = message._exception or Exception("failed without an exception")
        self.errors[q_name(message.queue_name)].append(error)


class SuiteWorker(Worker):
    """Dramatiq's worker with Heliograph's dispatch, which the broker's middleware puts into it.

    Parameters:
      broker: A SuiteBroker.
      options: Options of Worker. As many messages are in progress as it has threads, or as a test
        has set `queue_prefetch` to.
    """

    def __init__(self, broker: SuiteBroker, **options: Any) -> None:
        super().__init__(broker, **options)
        self._suite_broker = broker
        self._stock_prefetch = self.worker_threads * 2
        self._middleware: list[Middleware] = []

    def start(self) -> None:
        """Start, with a loop and threads of its own."""
        threads, broker = self.worker_threads, self._suite_broker
        prefetch = threads if self.queue_prefetch == self._stock_prefetch else self.queue_prefetch
        stop = ShutdownMiddleware()
        dispatch = AsyncDispatchMiddleware(LoopThread(), prefetch, stop, _STOP_SECONDS)
        self._middleware = [stop, dispatch]
        broker.middleware[:0] = self._middleware
        broker.stopping = stop.stopping
        broker.executor = ThreadPoolExecutor(threads)
        broker.worker = self
        super().start()

    def stop(self, timeout: int = 600_000) -> None:
        """Stop, and leave the broker for other workers."""
        super().stop(timeout)
        broker = self._suite_broker
        assert broker.executor is not None
        broker.executor.shutdown(wait=False)
        broker.worker = None
        for middleware in self._middleware:
            broker.middleware.remove(middleware)
        self._middleware = []
