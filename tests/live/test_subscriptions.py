"""Subscriptions are exact whatever arrives: late, repeated, with gaps, or not at all."""

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
from tests.support.ledger import LedgerHarness


@pytest.fixture
def subscriber() -> Subscriber:
    return Subscriber(asyncio.Event(), lambda: None)


def entries(ledger: LedgerHarness) -> list[StreamEntry]:
    found = ledger.run(JobEventStream(ledger.client).read_after(START, 1_000))
    return [entry for _, entry in found if entry is not None]


def batch_of(
    ledger: LedgerHarness, subscription: Subscription, subscriber: Subscriber
) -> Sequence[LiveUpdate]:
    """The next batch of updates."""

    async def first() -> Sequence[LiveUpdate]:
        async for batch in subscription.stream(subscriber):
            return batch
        return ()

    return ledger.run(first())


def ids(messages: Sequence[LiveUpdate]) -> list[str | None]:
    return [message.id for message in messages]


def test_updates_from_the_history_are_not_sent_again_from_the_stream(
    ledger: LedgerHarness, subscriber: Subscriber
) -> None:
    claim = ledger.claim_and_send(ledger.add_job())
    subscription = JobSubscription(ledger.queries, claim.id, None)
    subscriber.push(entries(ledger))
    assert ids(batch_of(ledger, subscription, subscriber)) == ["1", "2", "3"]
    assert batch_of(ledger, subscription, subscriber) == []
    ledger.finish(claim)
    subscriber.push(entries(ledger))
    assert ids(batch_of(ledger, subscription, subscriber)) == ["4"]


def test_updates_missing_from_the_stream_are_read_from_the_history(
    ledger: LedgerHarness, subscriber: Subscriber
) -> None:
    claim = ledger.claim(ledger.add_job())
    subscription = JobSubscription(ledger.queries, claim.id, None)
    batch_of(ledger, subscription, subscriber)
    ledger.record_intent(claim)
    ledger.finish(claim)
    subscriber.push(entries(ledger)[-1:])
    updates = [
        *batch_of(ledger, subscription, subscriber),
        *batch_of(ledger, subscription, subscriber),
    ]
    assert ids(updates) == ["3", "4"]


@pytest.mark.parametrize(
    ("after", "sent"), [(None, ["1", "2"]), (1, ["2"]), (2, []), (3, [None, "1", "2"])]
)
def test_a_number_that_the_job_has_not_reached_belongs_to_another_history(
    ledger: LedgerHarness, subscriber: Subscriber, after: int | None, sent: list[str | None]
) -> None:
    claim = ledger.claim(ledger.add_job())
    subscription = JobSubscription(ledger.queries, claim.id, after)

    updates = batch_of(ledger, subscription, subscriber)

    assert ids(updates) == sent
    assert [update.event for update in updates[:1] if update.id is None] == ["gap"] * (after == 3)


def test_stream_entries_already_read_are_not_sent_again(
    ledger: LedgerHarness, subscriber: Subscriber
) -> None:
    claim = ledger.claim(ledger.add_job())
    subscription = FeedSubscription(JobEventStream(ledger.client), START)
    assert len(batch_of(ledger, subscription, subscriber)) == 2
    ledger.record_intent(claim)
    subscriber.push(entries(ledger))
    assert ids(batch_of(ledger, subscription, subscriber)) == [entries(ledger)[-1].position]
    assert batch_of(ledger, subscription, subscriber) == []


@pytest.mark.parametrize("seed", range(12))
def test_every_change_is_sent_once_and_in_order_whatever_happens(
    ledger: LedgerHarness, seed: int
) -> None:
    # Given a subscriber to one job and one to all jobs, both disconnected at times
    rng = random.Random(seed)
    job_id = ledger.add_job()
    job_updates: list[LiveUpdate] = []
    all_updates: list[LiveUpdate] = []
    one, every = (Subscriber(asyncio.Event(), lambda: None) for _ in range(2))
    job_subscription, feed_subscription = (
        JobSubscription(ledger.queries, job_id, None),
        FeedSubscription(JobEventStream(ledger.client), START),
    )

    def receive() -> None:
        nonlocal one, every, job_subscription, feed_subscription
        chance = rng.random()
        if chance < 0.2:  # disconnected and back
            one = Subscriber(asyncio.Event(), lambda: None)
            job_subscription = JobSubscription(
                ledger.queries, job_id, int(job_updates[-1].id or 0) if job_updates else None
            )
        elif chance < 0.4:
            every = Subscriber(asyncio.Event(), lambda: None)
            feed_subscription = FeedSubscription(
                JobEventStream(ledger.client), all_updates[-1].id if all_updates else START
            )
        elif chance < 0.7:  # the stream delivers entries again, or only some
            streamed = entries(ledger)
            one.push(streamed[rng.randrange(len(streamed)) :])
            every.push(streamed)
        job_updates.extend(batch_of(ledger, job_subscription, one))
        all_updates.extend(batch_of(ledger, feed_subscription, every))

    # When the job changes its status many times
    for _ in range(8):
        claim = ledger.claim(job_id)
        receive()
        ledger.release(claim, Status.WAITING, charge="free")
        receive()
        ledger.heartbeat()
        receive()
    ledger.finish(ledger.claim_and_send(job_id))
    for subscriber in (one, every):
        subscriber.refresh()
    job_updates.extend(batch_of(ledger, job_subscription, one))
    all_updates.extend(batch_of(ledger, feed_subscription, every))

    # Then both have received each change once
    expected = entries(ledger)
    assert ids(job_updates) == [str(number + 1) for number in range(len(expected))]
    assert [message.data for message in job_updates] == [entry.data for entry in expected]
    assert ids(all_updates) == [entry.position for entry in expected]
