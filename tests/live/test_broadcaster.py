"""Subscribers of a process: woken by their own jobs, over one connection, and bounded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from service.live.broadcaster import MAX_PENDING, Broadcaster, Subscriber
from service.live.event_stream import StreamEntry
from tests.support.event_streams import feed_readers
from tests.support.ledger import LedgerHarness

DEADLINE_SECONDS = 20.0


async def _until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def _broadcaster(url: str) -> Broadcaster:
    return Broadcaster(url, asyncio.Event())


async def _started(ledger: LedgerHarness, subscriber: Subscriber) -> None:
    """Wait until the stream is read and the subscriber has been told to refresh."""
    await _until(lambda: feed_readers(ledger.store) == 1)
    await subscriber.wait(DEADLINE_SECONDS)
    subscriber.needs_refresh = False


def test_a_subscriber_is_woken_by_its_own_job(ledger: LedgerHarness, store_url: str) -> None:
    async def scenario() -> tuple[list[str], list[str], list[str]]:
        broadcaster = _broadcaster(store_url)
        with (
            broadcaster.subscribe(mine) as own,
            broadcaster.subscribe(other) as other_job,
            broadcaster.subscribe(None) as all_jobs,
        ):
            for subscriber in (own, other_job, all_jobs):
                await _started(ledger, subscriber)
            assert feed_readers(ledger.store) == 1
            await ledger.claims.claim(mine, "worker")
            assert await own.wait(DEADLINE_SECONDS)
            assert await all_jobs.wait(DEADLINE_SECONDS)
            received = tuple(
                [entry.job_id for entry in one.take()] for one in (own, other_job, all_jobs)
            )
        await broadcaster.close()
        return received[0], received[1], received[2]

    mine, other = ledger.add_job(), ledger.add_job(account="studio")
    assert ledger.run(scenario()) == ([mine], [], [mine])


def test_the_connection_closes_with_the_last_subscriber_and_reopens(
    ledger: LedgerHarness, store_url: str
) -> None:
    async def scenario() -> None:
        broadcaster = _broadcaster(store_url)
        with broadcaster.subscribe("job_any"):
            await _until(lambda: feed_readers(ledger.store) == 1)
        await _until(lambda: feed_readers(ledger.store) == 0)
        with broadcaster.subscribe(job_id) as subscriber:
            await _started(ledger, subscriber)
            await ledger.claims.claim(job_id, "worker")
            await subscriber.wait(DEADLINE_SECONDS)
            assert [entry.number for entry in subscriber.take()] == [2]
        assert broadcaster.count == 0
        await broadcaster.close()

    job_id = ledger.add_job()
    ledger.run(scenario())


def test_a_lost_connection_makes_every_subscriber_refresh(
    ledger: LedgerHarness, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        broadcaster = _broadcaster(store_url)
        with broadcaster.subscribe("job_any") as one, broadcaster.subscribe(None) as other:
            for subscriber in (one, other):
                await _started(ledger, subscriber)
            (reader,) = (
                client for client in ledger.store.client_list() if client["cmd"] == "xread"
            )
            ledger.store.client_kill_filter(_id=reader["id"])
            await _until(lambda: one.needs_refresh and other.needs_refresh)
        await broadcaster.close()

    ledger.run(scenario())


def test_closing_without_subscribers_works(store_url: str, ledger: LedgerHarness) -> None:
    async def scenario() -> None:
        await _broadcaster(store_url).close()

    ledger.run(scenario())


def test_stopping_wakes_subscribers_and_disconnects_those_that_stay(
    ledger: LedgerHarness, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.live.broadcaster.GRACE_SECONDS", 0.05)

    async def scenario() -> None:
        stopping, cut = asyncio.Event(), asyncio.Event()
        broadcaster = Broadcaster(store_url, stopping)
        with broadcaster.subscribe("job_any", cut.set) as subscriber:
            await _started(ledger, subscriber)
            assert not subscriber.closed
            stopping.set()
            assert await subscriber.wait(DEADLINE_SECONDS)
            assert subscriber.closed
            assert not subscriber.disconnected
            await asyncio.wait_for(cut.wait(), DEADLINE_SECONDS)
            assert subscriber.disconnected
        await broadcaster.close()

    ledger.run(scenario())


def test_a_subscriber_that_does_not_read_is_disconnected_and_its_entries_dropped() -> None:
    aborted: list[bool] = []
    subscriber = Subscriber(asyncio.Event(), lambda: aborted.append(True))
    entry = StreamEntry("1-0", "job_x", 1, "change", "{}")

    subscriber.push([entry] * MAX_PENDING)
    assert (aborted, subscriber.disconnected) == ([], False)
    subscriber.push([entry])
    subscriber.push([entry])

    assert (aborted, subscriber.disconnected) == ([True], True)
    assert subscriber.take() == []
