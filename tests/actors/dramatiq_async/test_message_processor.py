"""What middleware is told about a message, with Dramatiq's own middleware on a real worker."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import redis
from dramatiq import Broker, MessageProxy, Retry
from dramatiq.errors import RateLimitExceeded
from dramatiq.middleware import (
    Middleware,
    Retries,
    SkipMessage,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from deploy.local.wait import until
from tests.support.dramatiq_worker import (
    declare,
    queues_are_empty,
    results_in,
    worker_with,
)

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
