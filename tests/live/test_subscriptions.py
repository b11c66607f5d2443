"""A tale is exact whatever reaches its listener: late, twice, out of a gap, or not at all."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from service.jobs.model import Status
from service.jobs.timeline import LiveUpdate
from service.live.broadcaster import Subscriber
from service.live.event_stream import START, JobEventStream, StreamEntry
from service.live.subscriptions import FeedSubscription, JobSubscription, Subscription
from tests.support.ledgers import SECOND, Books


@pytest.fixture
def listener() -> Subscriber:
    return Subscriber(asyncio.Event(), lambda: None)


def entries(books: Books) -> list[StreamEntry]:
    found = books.run(JobEventStream(books.client).read_after(START, 1_000))
    return [entry for _, entry in found if entry is not None]


def batch_of(books: Books, tale: Subscription, listener: Subscriber) -> Sequence[LiveUpdate]:
    """What there is to tell now."""

    async def first() -> Sequence[LiveUpdate]:
        async for batch in tale.stream(listener):
            return batch
        return ()

    return books.run(first())


def ids(messages: Sequence[LiveUpdate]) -> list[str | None]:
    return [message.id for message in messages]


def test_what_is_in_the_history_is_not_told_again_by_the_feed(
    books: Books, listener: Subscriber
) -> None:
    claim = books.sending(books.job())
    tale = JobSubscription(books.reader, claim.id, None)
    listener.push(entries(books))
    assert ids(batch_of(books, tale, listener)) == ["1", "2", "3"]
    assert batch_of(books, tale, listener) == []
    books.finish(claim)
    listener.push(entries(books))
    assert ids(batch_of(books, tale, listener)) == ["4"]


def test_what_the_feed_did_not_bring_is_read(books: Books, listener: Subscriber) -> None:
    claim = books.claim(books.job())
    tale = JobSubscription(books.reader, claim.id, None)
    batch_of(books, tale, listener)
    books.intend(claim)
    books.finish(claim)
    listener.push(entries(books)[-1:])
    told = [*batch_of(books, tale, listener), *batch_of(books, tale, listener)]
    assert ids(told) == ["3", "4"]


def test_what_is_on_a_page_of_the_feed_is_not_told_again(
    books: Books, listener: Subscriber
) -> None:
    claim = books.claim(books.job())
    tale = FeedSubscription(JobEventStream(books.client), START)
    assert len(batch_of(books, tale, listener)) == 2
    books.intend(claim)
    listener.push(entries(books))
    assert ids(batch_of(books, tale, listener)) == [entries(books)[-1].position]
    assert batch_of(books, tale, listener) == []


@pytest.mark.parametrize("seed", range(12))
def test_every_change_is_told_once_and_in_order_whatever_happens(books: Books, seed: int) -> None:
    # Given one who listens to a job, and one who listens to all, both cut off at times
    dice = random.Random(seed)
    job_id = books.job()
    told: list[LiveUpdate] = []
    heard: list[LiveUpdate] = []
    one, other = (Subscriber(asyncio.Event(), lambda: None) for _ in range(2))
    tale, all_ = (
        JobSubscription(books.reader, job_id, None),
        FeedSubscription(JobEventStream(books.client), START),
    )

    def listen() -> None:
        nonlocal one, other, tale, all_
        fate = dice.random()
        if fate < 0.2:  # cut, and come again
            one = Subscriber(asyncio.Event(), lambda: None)
            tale = JobSubscription(books.reader, job_id, int(told[-1].id or 0) if told else None)
        elif fate < 0.4:
            other = Subscriber(asyncio.Event(), lambda: None)
            all_ = FeedSubscription(JobEventStream(books.client), heard[-1].id if heard else START)
        elif fate < 0.7:  # the feed brings some of it again, or not all of it
            told_before = entries(books)
            one.push(told_before[dice.randrange(len(told_before)) :])
            other.push(told_before)
        told.extend(batch_of(books, tale, one))
        heard.extend(batch_of(books, all_, other))

    # When the job goes through many states
    for _ in range(8):
        claim = books.claim(job_id)
        listen()
        books.release(claim, Status.WAITING, after_ms=SECOND, charge="free")
        listen()
        books.pass_time(SECOND)
        books.tick()
        listen()
    books.finish(books.sending(job_id))
    for listener in (one, other):
        listener.refresh()
    told.extend(batch_of(books, tale, one))
    heard.extend(batch_of(books, all_, other))

    # Then each has heard each of them once
    true = entries(books)
    assert ids(told) == [str(number + 1) for number in range(len(true))]
    assert [message.data for message in told] == [entry.data for entry in true]
    assert ids(heard) == [entry.position for entry in true]
