"""Notifications: messages are fetched as soon as they are enqueued; idle workers send nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from deploy.local.valkey import Valkey
from deploy.local.wait import until
from tests.support.dramatiq_worker import QUEUE, enqueue, message, queues_are_empty, running_worker

#: Well below the pause of a consumer that polls.
MAX_DELAY_SECONDS = 0.15


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A store to kill."""
    with Valkey(tmp_path) as store:
        yield store


def _is_listening(store: redis.Redis) -> bool:
    """Whether a worker waits for notifications."""
    return any(client["cmd"] == "xread" for client in store.client_list())


def test_a_message_is_fetched_at_once_however_long_the_worker_was_idle(
    store: redis.Redis, store_url: str
) -> None:
    started: list[float] = []

    async def note(_word: str) -> None:
        started.append(time.monotonic())

    with running_worker(store_url, note, 1.0):
        until(lambda: _is_listening(store), 10, "the notifier")
        waits = []
        for number in range(10):
            enqueued_at = time.monotonic()
            enqueue(store, message())
            until(lambda: len(started) > number, 5, "the work")  # noqa: B023
            waits.append(started[-1] - enqueued_at)
    assert sorted(waits)[len(waits) // 2] < MAX_DELAY_SECONDS


@pytest.mark.parametrize("messages", [0, 1, 3])
def test_an_idle_worker_sends_next_to_no_commands(
    store: redis.Redis, store_url: str, messages: int
) -> None:
    processed: list[str] = []

    async def note(word: str) -> None:
        processed.append(word)

    with running_worker(store_url, note, 1.0):
        # Given a worker that is idle, from the start or after some messages
        until(lambda: _is_listening(store), 10, "the notifier")
        for _ in range(messages):
            enqueue(store, message())
        until(lambda: len(processed) == messages and queues_are_empty(store), 10, "the work")
        # Then it sends at most two commands a second, once it has settled
        until(lambda: _sent_in_three_seconds(store) <= 6, 30, "three quiet seconds")


def test_a_message_enqueued_without_a_notification_is_found_by_the_slow_poll(
    store: redis.Redis, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.dramatiq_async.consumer.IDLE_FETCH_SECONDS", 0.5)
    started: list[str] = []

    async def note(word: str) -> None:
        started.append(word)

    with running_worker(store_url, note, 1.0):
        until(lambda: _is_listening(store), 10, "the notifier")
        enqueue(store, message(), notify=False)
        until(lambda: started, 10, "the work")


def test_consumers_poll_while_the_notifier_is_disconnected(valkey: Valkey) -> None:
    started: list[str] = []

    async def note(word: str) -> None:
        started.append(word)

    with (
        running_worker(valkey.url, note, 1.0) as (broker, _),
        redis.Redis.from_url(valkey.url) as store,
    ):
        until(lambda: broker.notifier.listening, 10, "the notifier")
        valkey.kill()
        until(lambda: not broker.notifier.listening, 10, "the loss")
        valkey.start()
        enqueue(store, message(args=["silent"]), notify=False)
        until(lambda: started == ["silent"], 15, "the work that was found")
        until(lambda: broker.notifier.listening, 10, "the notifier")
        enqueue(store, message(args=["notified"]))
        until(lambda: started == ["silent", "notified"], 10, "the work that was notified")


def test_a_notification_from_before_the_notifier_knew_of_a_queue_is_not_missed(
    store: redis.Redis, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given that nothing is found by looking from time to time
    monkeypatch.setattr("actors.dramatiq_async.consumer.IDLE_FETCH_SECONDS", 1000.0)
    started: list[str] = []

    async def note(word: str) -> None:
        started.append(word)

    with running_worker(store_url, note, 1.0) as (broker, worker):
        until(lambda: broker.notifier.listening, 10, "the notifier")
        # And a queue that is declared while the notifier waits for another
        broker.declare_queue("late")
        until(lambda: worker.consumers["late"].consumer, 10, "its consumer")
        consumer: Any = worker.consumers["late"].consumer
        until(lambda: consumer._fetch_at > time.monotonic() + 100, 10, "an idle consumer")
        enqueue(store, message(), "late")
        until(lambda: started, 15, "the work")


def test_consumers_poll_for_as_long_as_the_notifier_stays_away(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given that nothing is found by looking from time to time
    monkeypatch.setattr("actors.dramatiq_async.consumer.IDLE_FETCH_SECONDS", 1000.0)
    monkeypatch.setattr("dramatiq.worker.CONSUMER_RESTART_DELAY_SECS", 0.05)
    started: list[str] = []

    async def note(word: str) -> None:
        started.append(word)

    with (
        running_worker(valkey.url, note, 1.0) as (broker, worker),
        redis.Redis.from_url(valkey.url) as store,
    ):
        until(lambda: broker.notifier.listening, 10, "the notifier")
        consumer: Any = worker.consumers[QUEUE].consumer
        until(lambda: consumer._fetch_at > time.monotonic() + 100, 10, "an idle consumer")
        # And a notifier that does not come back
        monkeypatch.setattr("actors.dramatiq_async.queue_notifier._RETRY_SECONDS", 1000.0)
        valkey.kill()
        until(lambda: not broker.notifier.listening, 10, "the loss")
        valkey.start()
        for word in ("one", "two", "three"):
            enqueue(store, message(args=[word]), notify=False)
            until(lambda: word in started, 15, "the work")  # noqa: B023


def _commands(store: redis.Redis) -> int:
    """Commands run so far, apart from those of this count."""
    stats = store.info("commandstats")
    asking = ("cmdstat_info", "cmdstat_client|list")
    return sum(each["calls"] for name, each in stats.items() if name not in asking)


def _sent_in_three_seconds(store: redis.Redis) -> int:
    before = _commands(store)
    until(_passed(3))
    return _commands(store) - before


def _passed(seconds: float) -> Callable[[], bool]:
    since = time.monotonic()
    return lambda: time.monotonic() - since >= seconds
