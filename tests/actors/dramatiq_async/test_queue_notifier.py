"""The doorbell: work is picked up when somebody rings, and nothing is asked for meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from deploy.local.valkey import Valkey
from deploy.local.wait import until
from tests.support.dramatiq_worker import enqueue, message, running_worker

#: Well below the pause of a consumer that polls.
AT_ONCE_SECONDS = 0.15


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A store to kill."""
    with Valkey(tmp_path) as store:
        yield store


def _idle(store: redis.Redis) -> bool:
    """Whether a worker listens at the doorbell and nothing else is under way."""
    return any(client["cmd"] == "xread" for client in store.client_list())


def test_a_ring_is_heard_at_once_however_long_it_was_quiet(
    store: redis.Redis, store_url: str
) -> None:
    begun: list[float] = []

    async def note(_word: str) -> None:
        begun.append(time.monotonic())

    with running_worker(store_url, note, 1.0):
        until(lambda: _idle(store), 10, "the doorbell")
        waits = []
        for number in range(10):
            rung = time.monotonic()
            enqueue(store, message())
            until(lambda: len(begun) > number, 5, "the work")  # noqa: B023
            waits.append(begun[-1] - rung)
    assert sorted(waits)[len(waits) // 2] < AT_ONCE_SECONDS


def test_an_idle_worker_asks_for_next_to_nothing(store: redis.Redis, store_url: str) -> None:
    async def note(_word: str) -> None: ...

    with running_worker(store_url, note, 1.0):
        until(lambda: _is_quiet(store), 20, "quiet")
        asked = _commands(store)
        until(_seconds_of(3))
        spent = _commands(store) - asked
    assert spent <= 6


def test_work_that_nobody_rings_for_is_found_all_the_same(
    store: redis.Redis, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.dramatiq_async.consumer.IDLE_FETCH_SECONDS", 0.5)
    begun: list[str] = []

    async def note(word: str) -> None:
        begun.append(word)

    with running_worker(store_url, note, 1.0):
        until(lambda: _idle(store), 10, "the doorbell")
        enqueue(store, message(), ring=False)
        until(lambda: begun, 10, "the work")


def test_consumers_poll_while_the_doorbell_is_lost_and_listen_again(valkey: Valkey) -> None:
    begun: list[str] = []

    async def note(word: str) -> None:
        begun.append(word)

    with (
        running_worker(valkey.url, note, 1.0) as (broker, _),
        redis.Redis.from_url(valkey.url) as store,
    ):
        until(lambda: broker.notifier.listening, 10, "the doorbell")
        valkey.kill()
        until(lambda: not broker.notifier.listening, 10, "the loss")
        valkey.start()
        enqueue(store, message(args=["unrung"]), ring=False)
        until(lambda: begun == ["unrung"], 15, "the work that was found")
        until(lambda: broker.notifier.listening, 10, "the doorbell")
        enqueue(store, message(args=["rung"]))
        until(lambda: begun == ["unrung", "rung"], 10, "the work that was rung for")


def _commands(store: redis.Redis) -> int:
    """Commands run so far, apart from those that ask this."""
    stats = store.info("commandstats")
    asking = ("cmdstat_info", "cmdstat_client|list")
    return sum(each["calls"] for name, each in stats.items() if name not in asking)


def _is_quiet(store: redis.Redis) -> bool:
    """Whether nothing was asked for during half a second."""
    before = _commands(store)
    until(_seconds_of(0.5))
    return _commands(store) == before


def _seconds_of(seconds: float) -> Callable[[], bool]:
    began = time.monotonic()
    return lambda: time.monotonic() - began >= seconds
