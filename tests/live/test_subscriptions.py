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
from tests.support.ledger import SECOND, LedgerHarness


@pytest.fixture
def subscriber() -> Subscriber:
    return Subscriber(asyncio.Event(), lambda: None)


def entries(ledger: LedgerHarness) -> list[StreamEntry]:
    found = ledger.run(JobEventStream(ledger.client).read_after(START, 1_000))
    return [entry for _, entry in found if entry is not None]


def batch_of(
    ledger: LedgerHarness, tale: Subscription, subscriber: Subscriber
) -> Sequence[LiveUpdate]:
    """What there is to tell now."""

    async def first() -> Sequence[LiveUpdate]:
        async for batch in tale.stream(subscriber):
            return batch
        return ()

    return ledger.run(first())


def ids(messages: Sequence[LiveUpdate]) -> list[str | None]:
    return [message.id for message in messages]


def test_what_is_in_the_history_is_not_told_again_by_the_feed(
    ledger: LedgerHarness, subscriber: Subscriber
) -> None:
    claim = ledger.claim_and_send(ledger.add_job())
    tale = JobSubscription(ledger.queries, claim.id, None)
    subscriber.push(entries(ledger))
    assert ids(batch_of(ledger, tale, subscriber)) == ["1", "2", "3"]
    assert batch_of(ledger, tale, subscriber) == []
    ledger.finish(claim)
    subscriber.push(entries(ledger))
    assert ids(batch_of(ledger, tale, subscriber)) == ["4"]


def test_what_the_feed_did_not_bring_is_read(ledger: LedgerHarness, subscriber: Subscriber) -> None:
    claim = ledger.claim(ledger.add_job())
    tale = JobSubscription(ledger.queries, claim.id, None)
    batch_of(ledger, tale, subscriber)
    ledger.record_intent(claim)
    ledger.finish(claim)
    subscriber.push(entries(ledger)[-1:])
    told = [*batch_of(ledger, tale, subscriber), *batch_of(ledger, tale, subscriber)]
    assert ids(told) == ["3", "4"]


def test_what_is_on_a_page_of_the_feed_is_not_told_again(
    ledger: LedgerHarness, subscriber: Subscriber
) -> None:
    claim = ledger.claim(ledger.add_job())
    tale = FeedSubscription(JobEventStream(ledger.client), START)
    assert len(batch_of(ledger, tale, subscriber)) == 2
    ledger.record_intent(claim)
    subscriber.push(entries(ledger))
    assert ids(batch_of(ledger, tale, subscriber)) == [entries(ledger)[-1].position]
    assert batch_of(ledger, tale, subscriber) == []


@pytest.mark.parametrize("seed", range(12))
def test_every_change_is_told_once_and_in_order_whatever_happens(
    ledger: LedgerHarness, seed: int
) -> None:
    # Given one who listens to a job, and one who listens to all, both cut off at times
    dice = random.Random(seed)
    job_id = ledger.add_job()
    told: list[LiveUpdate] = []
    heard: list[LiveUpdate] = []
    one, other = (Subscriber(asyncio.Event(), lambda: None) for _ in range(2))
    tale, all_ = (
        JobSubscription(ledger.queries, job_id, None),
        FeedSubscription(JobEventStream(ledger.client), START),
    )

    def listen() -> None:
        nonlocal one, other, tale, all_
        fate = dice.random()
        if fate < 0.2:  # cut, and come again
            one = Subscriber(asyncio.Event(), lambda: None)
            tale = JobSubscription(ledger.queries, job_id, int(told[-1].id or 0) if told else None)
        elif fate < 0.4:
            other = Subscriber(asyncio.Event(), lambda: None)
            all_ = FeedSubscription(JobEventStream(ledger.client), heard[-1].id if heard else START)
        elif fate < 0.7:  # the feed brings some of it again, or not all of it
            told_before = entries(ledger)
            one.push(told_before[dice.randrange(len(told_before)) :])
            other.push(told_before)
        told.extend(batch_of(ledger, tale, one))
        heard.extend(batch_of(ledger, all_, other))

    # When the job goes through many states
    for _ in range(8):
        claim = ledger.claim(job_id)
        listen()
        ledger.release(claim, Status.WAITING, after_ms=SECOND, charge="free")
        listen()
        ledger.pass_time(SECOND)
        ledger.heartbeat()
        listen()
    ledger.finish(ledger.claim_and_send(job_id))
    for subscriber in (one, other):
        subscriber.refresh()
    told.extend(batch_of(ledger, tale, one))
    heard.extend(batch_of(ledger, all_, other))

    # Then each has heard each of them once
    true = entries(ledger)
    assert ids(told) == [str(number + 1) for number in range(len(true))]
    assert [message.data for message in told] == [entry.data for entry in true]
    assert ids(heard) == [entry.position for entry in true]
