"""Who listens in a process: woken by what concerns him, over one connection, and bounded."""

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


def _live(url: str) -> Broadcaster:
    return Broadcaster(url, asyncio.Event())


async def _settled(ledger: LedgerHarness, listener: Subscriber) -> None:
    """Wait until the feed is read and the listener has been told to begin."""
    await _until(lambda: feed_readers(ledger.store) == 1)
    await listener.wait(DEADLINE_SECONDS)
    listener.needs_refresh = False


def test_a_listener_is_woken_by_its_own_job(ledger: LedgerHarness, store_url: str) -> None:
    async def scene() -> tuple[list[str], list[str], list[str]]:
        live = _live(store_url)
        with (
            live.subscribe(mine) as own,
            live.subscribe(other) as strange,
            live.subscribe(None) as all_,
        ):
            for listener in (own, strange, all_):
                await _settled(ledger, listener)
            assert feed_readers(ledger.store) == 1
            await ledger.claims.claim(mine, "worker")
            assert await own.wait(DEADLINE_SECONDS)
            assert await all_.wait(DEADLINE_SECONDS)
            heard = tuple([entry.job_id for entry in each.take()] for each in (own, strange, all_))
        await live.close()
        return heard[0], heard[1], heard[2]

    mine, other = ledger.add_job(), ledger.add_job(account="studio")
    assert ledger.run(scene()) == ([mine], [], [mine])


def test_the_connection_ends_with_the_last_listener_and_comes_back(
    ledger: LedgerHarness, store_url: str
) -> None:
    async def scene() -> None:
        live = _live(store_url)
        with live.subscribe("job_any"):
            await _until(lambda: feed_readers(ledger.store) == 1)
        await _until(lambda: feed_readers(ledger.store) == 0)
        with live.subscribe(job_id) as listener:
            await _settled(ledger, listener)
            await ledger.claims.claim(job_id, "worker")
            await listener.wait(DEADLINE_SECONDS)
            assert [entry.number for entry in listener.take()] == [2]
        assert live.count == 0
        await live.close()

    job_id = ledger.add_job()
    ledger.run(scene())


def test_a_lost_connection_makes_everybody_read_again(
    ledger: LedgerHarness, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        live = _live(store_url)
        with live.subscribe("job_any") as one, live.subscribe(None) as other:
            for listener in (one, other):
                await _settled(ledger, listener)
            (reader,) = (each for each in ledger.store.client_list() if each["cmd"] == "xread")
            ledger.store.client_kill_filter(_id=reader["id"])
            await _until(lambda: one.needs_refresh and other.needs_refresh)
        await live.close()

    ledger.run(scene())


def test_closing_without_ever_listening_is_fine(store_url: str, ledger: LedgerHarness) -> None:
    async def scene() -> None:
        await _live(store_url).close()

    ledger.run(scene())


def test_the_end_wakes_everybody_and_cuts_who_does_not_go(
    ledger: LedgerHarness, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.live.broadcaster.GRACE_SECONDS", 0.05)

    async def scene() -> None:
        stopping, cut = asyncio.Event(), asyncio.Event()
        live = Broadcaster(store_url, stopping)
        with live.subscribe("job_any", cut.set) as listener:
            await _settled(ledger, listener)
            assert not listener.closed
            stopping.set()
            assert await listener.wait(DEADLINE_SECONDS)
            assert listener.closed
            assert not listener.disconnected
            await asyncio.wait_for(cut.wait(), DEADLINE_SECONDS)
            assert listener.disconnected
        await live.close()

    ledger.run(scene())


def test_who_takes_nothing_is_dropped_and_nothing_is_kept_for_him() -> None:
    dropped: list[bool] = []
    listener = Subscriber(asyncio.Event(), lambda: dropped.append(True))
    entry = StreamEntry("1-0", "job_x", 1, "change", "{}")

    listener.push([entry] * MAX_PENDING)
    assert (dropped, listener.disconnected) == ([], False)
    listener.push([entry])
    listener.push([entry])

    assert (dropped, listener.disconnected) == ([True], True)
    assert listener.take() == []
