"""What middleware is told about a message, with Dramatiq's own middleware on a real worker."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq import Broker, MessageProxy, Retry, Worker
from dramatiq.errors import RateLimitExceeded
from dramatiq.middleware import (
    Callbacks,
    Middleware,
    MiddlewareError,
    Pipelines,
    Retries,
    ShutdownNotifications,
    SkipMessage,
    TimeLimit,
)
from dramatiq.results import ResultFailure, Results
from dramatiq.results.backends import RedisBackend
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from actors.dramatiq_async.broker import WaitingRedisBroker
from actors.dramatiq_async.dispatcher import AsyncDispatchMiddleware
from actors.dramatiq_async.event_loop import LoopThread
from actors.dramatiq_async.shutdown import ShutdownMiddleware
from actors.registry import make_broker
from deploy.local.wait import until
from tests.support.dramatiq_worker import QUEUE, queues_are_empty, running_worker, settings_for

#: An error of Dramatiq's, whose constructor is untyped.
RATE_LIMITED: Any = RateLimitExceeded.__new__(RateLimitExceeded)


class Signals(Middleware):
    """Records the signals about messages, and on which thread they came."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.threads: set[str] = set()

    def _note(self, signal: str) -> None:
        self.seen.append(signal)

    def before_process_message(self, _broker: Broker, _message: MessageProxy) -> None:
        """Record it."""
        self._note("before_process")

    def after_process_message(
        self,
        _broker: Broker,
        _message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        """Record it with its outcome."""
        self.threads.add(threading.current_thread().name)
        self._note(f"after_process {result} {type(exception).__name__}")

    def after_skip_message(self, _broker: Broker, _message: MessageProxy) -> None:
        """Record it."""
        self._note("after_skip")

    def after_ack(self, _broker: Broker, _message: MessageProxy) -> None:
        """Record it."""
        self._note("after_ack")

    def after_nack(self, _broker: Broker, _message: MessageProxy) -> None:
        """Record it."""
        self._note("after_nack")


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


def test_what_an_actor_returns_reaches_results(store: redis.Redis, store_url: str) -> None:
    async def add(x: int, y: int) -> int:
        return x + y

    results = results_in(store)
    with worker_with(store_url, results) as broker:
        message = declare(broker, add, store_results=True).send(1, 2)
        assert message.get_result(backend=results.backend, block=True, timeout=20_000) == 3


def test_what_an_actor_returns_is_piped_into_the_next(store: redis.Redis, store_url: str) -> None:
    async def add(x: int, y: int) -> int:
        return x + y

    results = results_in(store)
    with worker_with(store_url, Pipelines(), results) as broker:
        actor = declare(broker, add, store_results=True)
        messages = [actor.message(1, 2), actor.message(3), actor.message(4)]
        pipe: Any = dramatiq.pipeline(messages, broker=broker)
        pipe.run()
        assert pipe.get_result(block=True, timeout=20_000) == 10


def test_what_an_actor_raises_reaches_results_when_its_retries_are_over(
    store: redis.Redis, store_url: str
) -> None:
    attempts: list[float] = []

    async def fail() -> None:
        attempts.append(time.monotonic())
        raise ValueError("no")

    results = results_in(store)
    with worker_with(store_url, Retries(), results) as broker:
        actor = declare(broker, fail, store_results=True, max_retries=1, min_backoff=400)
        message = actor.send()
        with pytest.raises(ResultFailure, match="ValueError: no"):
            message.get_result(backend=results.backend, block=True, timeout=30_000)
        until(lambda: queues_are_empty(store), 10, "the end of all messages")
    # It was retried after its backoff, of which Dramatiq takes a random part off
    first, second = attempts
    assert second - first > 0.2


def test_the_callbacks_of_success_and_failure_are_called(
    store: redis.Redis, store_url: str
) -> None:
    told: list[Any] = []

    async def tell(_message: Any, outcome: Any) -> None:
        told.append(outcome)

    async def halve(x: int) -> float:
        return 1 / x

    with worker_with(store_url, Callbacks()) as broker:
        declare(broker, tell)
        actor = declare(broker, halve, on_success="tell", on_failure="tell")
        actor.send(2)
        until(lambda: told == [0.5], 10, "the success")
        actor.send(0)
        until(lambda: len(told) == 2, 10, "the failure")
    assert told[1] == {"type": "ZeroDivisionError", "message": "division by zero"}


async def returns() -> str:
    """End well."""
    return "done"


async def raises() -> None:
    """End badly."""
    raise ValueError


async def is_overdue() -> None:
    """Never end."""
    await asyncio.Event().wait()


class Skips(Middleware):
    """Skips every message."""

    def before_process_message(self, _broker: Broker, _message: MessageProxy) -> None:
        """Skip it."""
        raise SkipMessage


class Fails(Middleware):
    """Fails every message before it is processed."""

    def before_process_message(self, _broker: Broker, message: MessageProxy) -> None:
        """Mark it."""
        message.fail()


@pytest.mark.parametrize(
    ("actor", "middleware", "signals"),
    [
        (returns, [], ["after_process done NoneType", "after_ack"]),
        (raises, [], ["after_process None ValueError", "after_ack"]),
        (is_overdue, [], ["after_process None TimeLimitExceeded", "after_ack"]),
        (returns, [Skips()], ["after_skip", "after_ack"]),
        (returns, [Fails()], ["after_process None NoneType", "after_nack"]),
        (raises, [Retries(max_retries=0)], ["after_process None ValueError", "after_nack"]),
    ],
)
def test_middleware_is_told_once_how_a_message_ended(
    store: redis.Redis,
    store_url: str,
    actor: Callable[..., Any],
    middleware: list[Middleware],
    signals: list[str],
) -> None:
    recorder = Signals()
    with worker_with(store_url, recorder, *middleware) as broker:
        declare(broker, actor, time_limit=100).send()
        until(lambda: recorder.seen[-1:] == signals[-1:], 10, "the last signal")
        until(lambda: queues_are_empty(store), 10, "the end of the message")
    assert recorder.seen == ["before_process", *signals]


def test_middleware_that_may_wait_for_redis_is_told_off_the_event_loop(
    store: redis.Redis, store_url: str
) -> None:
    recorder = Signals()
    with worker_with(store_url, recorder) as broker:
        declare(broker, returns).send()
        until(lambda: "after_ack" in recorder.seen, 10, "the end of the message")
    [thread] = recorder.threads
    assert thread.startswith("off-loop")


def test_a_message_may_bring_its_own_time_limit(store: redis.Redis, store_url: str) -> None:
    recorder = Signals()
    with worker_with(store_url, recorder) as broker:
        declare(broker, is_overdue).send_with_options(time_limit=100)
        until(lambda: "after_ack" in recorder.seen, 10, "the end of the message")
    assert "after_process None TimeLimitExceeded" in recorder.seen


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError(), ("error", "actor failed; job will be retried")),
        (RedisConnectionError(), ("warning", "redis error; job will be retried")),
        (KeyError(), ("info", "actor failed as expected")),
        (Retry(), None),
        (RATE_LIMITED, None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_failure_is_logged_by_how_unexpected_it_is(
    store: redis.Redis, store_url: str, error: Exception, line: tuple[str, str] | None
) -> None:
    async def fail() -> None:
        raise error

    with capture_logs() as lines, worker_with(store_url, Retries(max_retries=0)) as broker:
        declare(broker, fail, throws=(KeyError,)).send()
        until(lambda: queues_are_empty(store), 10, "the end of the message")
    assert [(each["log_level"], each["event"]) for each in lines] == ([line] if line else [])


@pytest.mark.parametrize("is_used", [True, False])
def test_a_value_that_nothing_receives_is_mentioned(
    store: redis.Redis, store_url: str, is_used: bool
) -> None:
    middleware = [results_in(store)] if is_used else []
    with capture_logs() as lines, worker_with(store_url, *middleware) as broker:
        declare(broker, returns).send()
        until(lambda: queues_are_empty(store), 10, "the end of the message")
    said = [each["actor"] for each in lines if "return value discarded" in each["event"]]
    assert said == ([] if is_used else ["returns"])


def test_what_an_actor_raised_is_freed_with_its_message(store: redis.Redis, store_url: str) -> None:
    raised: list[weakref.ref[BaseException]] = []

    class LargeError(Exception):
        """One whose traceback keeps frames alive."""

        def __init__(self) -> None:
            raised.append(weakref.ref(self))

    async def fail() -> None:
        raise LargeError

    gc.disable()
    try:
        with worker_with(store_url, Retries(max_retries=0)) as broker:
            declare(broker, fail, throws=LargeError).send()
            until(lambda: raised and queues_are_empty(store), 10, "the end of the message")
            until(lambda: raised[0]() is None, 10, "the end of the exception")
    finally:
        gc.enable()


@pytest.mark.parametrize("middleware", [TimeLimit, ShutdownNotifications])
def test_middleware_that_interrupts_threads_is_refused_at_boot(
    store_url: str, middleware: Callable[[], Middleware]
) -> None:
    stop = ShutdownMiddleware()
    dispatch = AsyncDispatchMiddleware(LoopThread(), 1, stop, 1.0)
    broker = make_broker(settings_for(store_url), [stop, dispatch])
    broker.add_middleware(middleware())
    with pytest.raises(MiddlewareError, match=rf"^{middleware.__name__} interrupts threads"):
        Worker(broker).start()
    broker.client.close()
