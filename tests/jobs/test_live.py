"""The live feed: whoever watches a job is woken by its changes, and by nothing else."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from service.jobs.live import CHANNEL, Live
from service.jobs.model import Status
from tests.support.ledgers import Books

DEADLINE_SECONDS = 20.0


async def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def _listeners(books: Books) -> int:
    counts: Any = books.store.pubsub_numsub(CHANNEL)
    return int(counts[0][1])


def test_every_change_is_told_once(books: Books) -> None:
    store: Any = books.store
    with store.pubsub(ignore_subscribe_messages=True) as feed:
        feed.subscribe(CHANNEL)
        feed.get_message(timeout=DEADLINE_SECONDS)
        job_id = books.job()
        books.finish(books.sending(job_id))
        told: list[dict[str, Any]] = []
        while not told or told[-1]["status"] != "succeeded":
            message = feed.get_message(timeout=DEADLINE_SECONDS)
            if message is not None:
                told.append(json.loads(message["data"]))

    assert [(each["id"], each["status"]) for each in told] == [
        (job_id, "running"),
        (job_id, "sending"),
        (job_id, "succeeded"),
    ]
    assert all(each["at"].isdigit() for each in told)


def test_a_watcher_is_woken_by_its_own_job(books: Books, store_url: str) -> None:
    async def scene() -> tuple[bool, bool]:
        live = Live(store_url)
        with live.watch(mine) as changed, live.watch(other) as unchanged:
            await _until(lambda: _listeners(books) == 1)
            await books.claims.claim(mine, "worker")
            await asyncio.wait_for(changed.wait(), DEADLINE_SECONDS)
            woken = changed.is_set(), unchanged.is_set()
        await live.close()
        return woken

    mine, other = books.job(), books.job(account="studio")
    assert books.run(scene()) == (True, False)
    assert books.status(mine) is Status.RUNNING


def test_the_subscription_ends_with_its_last_watcher_and_comes_back(
    books: Books, store_url: str
) -> None:
    async def scene() -> None:
        live = Live(store_url)
        with live.watch("job_any"):
            await _until(lambda: _listeners(books) == 1)
        await _until(lambda: _listeners(books) == 0)
        with live.watch(job_id) as changed:
            await _until(lambda: _listeners(books) == 1)
            await books.claims.claim(job_id, "worker")
            await asyncio.wait_for(changed.wait(), DEADLINE_SECONDS)
        await live.close()

    job_id = books.job()
    books.run(scene())


def test_closing_without_ever_watching_is_fine(store_url: str, books: Books) -> None:
    books.run(Live(store_url).close())
