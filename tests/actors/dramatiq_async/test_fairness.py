"""A flood in one queue does not delay the others."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import redis

from deploy.local.wait import until
from tests.support.dramatiq_worker import enqueue, message, queues_are_empty, running_worker

FLOOD = 300
STEPS = 20
QUEUES = [("callbacks", "actions"), ("actions", "callbacks")]


class Crossing:
    """An actor whose first message blocks the event loop until it is released."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.started_when_done = 0
        self.released = threading.Event()

    async def work(self, word: str) -> None:
        """Start; the message that is not of the flood takes some steps."""
        if word == "first":
            # Blocks the loop on purpose: no other message starts before all have arrived.
            assert self.released.wait(20)
            return
        self.started.append(word)
        if word == "other":
            for _ in range(STEPS):
                await asyncio.sleep(0)
            self.started_when_done = len(self.started)


@pytest.mark.parametrize(("flooded", "quiet"), QUEUES)
def test_a_message_of_another_queue_starts_at_once_and_proceeds_amid_a_flood(
    store: redis.Redis, store_url: str, flooded: str, quiet: str
) -> None:
    crossing = Crossing()
    with running_worker(store_url, crossing.work, prefetch=FLOOD * 2, queues=[flooded, quiet]) as (
        broker,
        worker,
    ):
        # Given a flood that waits at the loop, and a message of another queue that comes last
        enqueue(store, message(args=["first"]), flooded)
        for _ in range(FLOOD):
            enqueue(store, message(args=["flood"]), flooded)
        until(lambda: len(broker.in_flight[flooded]) == FLOOD + 1, 20, "the flood")
        until(worker.work_queue.empty, 20, "the dispatch of the flood")
        enqueue(store, message(args=["other"]), quiet)
        until(lambda: broker.in_flight[quiet] and worker.work_queue.empty(), 20, "the other")
        # When all may start
        crossing.released.set()
        until(lambda: queues_are_empty(store), 30, "the end of all")
    # Then it was among the first, and during each of its steps only a few of the flood started
    assert len(crossing.started) == FLOOD + 1
    assert crossing.started.index("other") <= 5
    assert crossing.started_when_done <= 3 * STEPS


@pytest.mark.parametrize(("flooded", "quiet"), QUEUES)
def test_a_full_queue_leaves_the_slots_of_others_alone(
    store: redis.Redis, store_url: str, flooded: str, quiet: str
) -> None:
    started: list[Any] = []

    async def hangs(word: str) -> None:
        started.append(word)
        if word == "flood":
            await asyncio.Event().wait()

    with running_worker(store_url, hangs, 0.1, prefetch=4, queues=[flooded, quiet]):
        for _ in range(50):
            enqueue(store, message(args=["flood"]), flooded)
        until(lambda: len(started) >= 4, 10, "a full queue")
        for number in range(20):
            enqueue(store, message(args=[number]), quiet)
        until(lambda: {*range(20)} <= {*started}, 10, "the others")
    # Only callbacks have spare slots, for origins that have none
    assert started.count("flood") == (5 if flooded == "callbacks" else 4)
