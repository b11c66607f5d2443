"""Queues beside each other: a flood of one holds up nobody of another."""

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
    """An actor whose first message stands in the way until it is let go."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.begun_when_done = 0
        self.may_go = threading.Event()

    async def work(self, word: str) -> None:
        """Begin; the one that is not of the flood takes some steps."""
        if word == "first":
            # Blocks the loop on purpose: nothing begins before all have arrived.
            assert self.may_go.wait(20)
            return
        self.begun.append(word)
        if word == "other":
            for _ in range(STEPS):
                await asyncio.sleep(0)
            self.begun_when_done = len(self.begun)


@pytest.mark.parametrize(("flooded", "quiet"), QUEUES)
def test_one_of_another_queue_begins_at_once_and_goes_on_amid_a_flood(
    store: redis.Redis, store_url: str, flooded: str, quiet: str
) -> None:
    crossing = Crossing()
    with running_worker(store_url, crossing.work, prefetch=FLOOD * 2, queues=[flooded, quiet]) as (
        broker,
        worker,
    ):
        # Given a flood that waits at the loop, and another message that comes last
        enqueue(store, message(args=["first"]), flooded)
        for _ in range(FLOOD):
            enqueue(store, message(args=["flood"]), flooded)
        until(lambda: len(broker.in_flight[flooded]) == FLOOD + 1, 20, "the flood")
        until(worker.work_queue.empty, 20, "the dispatch of the flood")
        enqueue(store, message(args=["other"]), quiet)
        until(lambda: broker.in_flight[quiet] and worker.work_queue.empty(), 20, "the other")
        # When all may begin
        crossing.may_go.set()
        until(lambda: queues_are_empty(store), 30, "the end of all")
    # Then it was among the first, and each step of it let only a few of the flood begin
    assert len(crossing.begun) == FLOOD + 1
    assert crossing.begun.index("other") <= 5
    assert crossing.begun_when_done <= 3 * STEPS


@pytest.mark.parametrize(("flooded", "quiet"), QUEUES)
def test_a_queue_without_places_left_leaves_those_of_others_alone(
    store: redis.Redis, store_url: str, flooded: str, quiet: str
) -> None:
    begun: list[Any] = []

    async def hangs(word: str) -> None:
        begun.append(word)
        if word == "flood":
            await asyncio.Event().wait()

    with running_worker(store_url, hangs, 0.1, prefetch=4, queues=[flooded, quiet]):
        for _ in range(50):
            enqueue(store, message(args=["flood"]), flooded)
        until(lambda: len(begun) >= 4, 10, "a full queue")
        for number in range(20):
            enqueue(store, message(args=[number]), quiet)
        until(lambda: {*range(20)} <= {*begun}, 10, "the others")
    # Only callbacks have places to spare, for origins that have none
    assert begun.count("flood") == (5 if flooded == "callbacks" else 4)
