"""A tale is exact whatever reaches its listener: late, twice, out of a gap, or not at all."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from service.jobs.model import Status
from service.jobs.timeline import Message
from service.live.broadcaster import Listener
from service.live.event_stream import START, Entry, Feed
from service.live.subscriptions import FeedTale, JobTale, Tale
from tests.support.ledgers import SECOND, Books


@pytest.fixture
def listener() -> Listener:
    return Listener(asyncio.Event(), lambda: None)


def entries(books: Books) -> list[Entry]:
    found = books.run(Feed(books.client).after(START, 1_000))
    return [entry for _, entry in found if entry is not None]


def batch_of(books: Books, tale: Tale, listener: Listener) -> Sequence[Message]:
    """What there is to tell now."""

    async def first() -> Sequence[Message]:
        async for batch in tale.told_to(listener):
            return batch
        return ()

    return books.run(first())


def ids(messages: Sequence[Message]) -> list[str | None]:
    return [message.id for message in messages]


def test_what_is_in_the_history_is_not_told_again_by_the_feed(
    books: Books, listener: Listener
) -> None:
    claim = books.sending(books.job())
    tale = JobTale(books.reader, claim.id, None)
    listener.tell(entries(books))
    assert ids(batch_of(books, tale, listener)) == ["1", "2", "3"]
    assert batch_of(books, tale, listener) == []
    books.finish(claim)
    listener.tell(entries(books))
    assert ids(batch_of(books, tale, listener)) == ["4"]


def test_what_the_feed_did_not_bring_is_read(books: Books, listener: Listener) -> None:
    claim = books.claim(books.job())
    tale = JobTale(books.reader, claim.id, None)
    batch_of(books, tale, listener)
    books.intend(claim)
    books.finish(claim)
    listener.tell(entries(books)[-1:])
    told = [*batch_of(books, tale, listener), *batch_of(books, tale, listener)]
    assert ids(told) == ["3", "4"]


def test_what_is_on_a_page_of_the_feed_is_not_told_again(books: Books, listener: Listener) -> None:
    claim = books.claim(books.job())
    tale = FeedTale(Feed(books.client), START)
    assert len(batch_of(books, tale, listener)) == 2
    books.intend(claim)
    listener.tell(entries(books))
    assert ids(batch_of(books, tale, listener)) == [entries(books)[-1].position]
    assert batch_of(books, tale, listener) == []


@pytest.mark.parametrize("seed", range(12))
def test_every_change_is_told_once_and_in_order_whatever_happens(books: Books, seed: int) -> None:
    # Given one who listens to a job, and one who listens to all, both cut off at times
    dice = random.Random(seed)
    job_id = books.job()
    told: list[Message] = []
    heard: list[Message] = []
    one, other = (Listener(asyncio.Event(), lambda: None) for _ in range(2))
    tale, all_ = JobTale(books.reader, job_id, None), FeedTale(Feed(books.client), START)

    def listen() -> None:
        nonlocal one, other, tale, all_
        fate = dice.random()
        if fate < 0.2:  # cut, and come again
            one = Listener(asyncio.Event(), lambda: None)
            tale = JobTale(books.reader, job_id, int(told[-1].id or 0) if told else None)
        elif fate < 0.4:
            other = Listener(asyncio.Event(), lambda: None)
            all_ = FeedTale(Feed(books.client), heard[-1].id if heard else START)
        elif fate < 0.7:  # the feed brings some of it again, or not all of it
            told_before = entries(books)
            one.tell(told_before[dice.randrange(len(told_before)) :])
            other.tell(told_before)
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
