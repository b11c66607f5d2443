"""Dramatiq's own middleware on a real worker: what works, and what is refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq import Worker
from dramatiq.middleware import (
    Callbacks,
    Middleware,
    MiddlewareError,
    Pipelines,
    Retries,
    ShutdownNotifications,
    TimeLimit,
)
from dramatiq.results import ResultFailure

from actors.dramatiq_async.dispatcher import AsyncDispatchMiddleware
from actors.dramatiq_async.event_loop import LoopThread
from actors.dramatiq_async.shutdown import ShutdownMiddleware
from actors.registry import make_broker
from deploy.local.wait import until
from tests.support.dramatiq_worker import (
    declare,
    queues_are_empty,
    results_in,
    settings_for,
    worker_with,
)


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


def test_who_hears_of_the_last_retry_gets_the_traceback(store: redis.Redis, store_url: str) -> None:
    told: list[Any] = []

    async def tell(message: Any, _retries: Any) -> None:
        told.append(message["options"]["traceback"])

    async def fail() -> None:
        raise ValueError("no")

    with worker_with(store_url, Retries()) as broker:
        declare(broker, tell)
        declare(broker, fail, max_retries=0, on_retry_exhausted="tell").send()
        until(lambda: told, 10, "the last retry")
    assert "in fail" in told[0]
    assert told[0].endswith("ValueError: no\n")


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
