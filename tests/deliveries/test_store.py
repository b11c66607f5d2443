"""Deliveries: claimed one at a time, tried until they end, and every attempt kept in bounds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis

from service.deliveries.store import DeliveryClaim
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.job_stages import job_in
from tests.support.ledgers import DAY, SECOND, TIMES, Books, opened_books

ATTEMPT = {
    "number": 1,
    "status": 500,
    "code": "server_error",
    "message": 'said "no" \\ é 🎉',
    "next_in_ms": None,
}


@pytest.fixture
def books(store: redis.Redis, store_url: str) -> Iterator[Books]:
    assert store.dbsize() == 0
    with opened_books(store_url) as books:
        yield books


@pytest.fixture
def delivery_id(books: Books) -> str:
    """A delivery whose wake-up has just been taken off the broker."""
    job_in(books, Status.SUCCEEDED, metadata={"order": 7})
    books.wakeups()
    [delivery_id] = books.wakeups("callbacks")
    return delivery_id


def _try_claim(books: Books, delivery_id: str, owner: str = "worker") -> DeliveryClaim | None:
    return books.run(books.deliveries.claim(delivery_id, owner))


def _claim(books: Books, delivery_id: str, owner: str = "worker") -> DeliveryClaim:
    claim = _try_claim(books, delivery_id, owner)
    assert claim is not None
    return claim


def _record(books: Books, claim: DeliveryClaim, to: Any, **options: Any) -> bool:
    return books.run(books.deliveries.record(claim, to, ATTEMPT, **options))


def test_a_claim_carries_the_frozen_bytes(books: Books, delivery_id: str) -> None:
    claim = _claim(books, delivery_id)

    assert (claim.endpoint, claim.attempts, claim.fence) == ("crm", 0, 1)
    assert json.loads(claim.payload)["data"]["metadata"] == {"order": 7}
    assert "metadata" not in repr(claim)
    assert books.delivery(delivery_id)["status"] == "delivering"


def test_a_delivery_is_claimed_by_one_worker(books: Books, delivery_id: str) -> None:
    first = _claim(books, delivery_id, "one")

    assert _try_claim(books, delivery_id, "two") is None
    again = _claim(books, delivery_id, "one")
    assert again.payload == first.payload, "a reply that was lost is asked for again"


def test_an_unknown_delivery_is_nothing_to_do(books: Books) -> None:
    assert _try_claim(books, "dlv_unknown") is None
    assert books.run(books.deliveries.read("dlv_unknown")) is None


@pytest.mark.parametrize("end", ["delivered", "failed"])
def test_an_ended_delivery_stays_ended(books: Books, delivery_id: str, end: str) -> None:
    claim = _claim(books, delivery_id)
    assert _record(books, claim, end)

    assert not _record(books, claim, "pending", after_ms=0)
    books.pass_time(DAY)
    books.tick()
    assert books.wakeups("callbacks") == []
    assert _try_claim(books, delivery_id) is None
    shown = books.delivery(delivery_id)
    assert (shown["status"], shown["attempts"], shown["next_attempt_at"]) == (end, 1, None)
    assert shown["ended_at"] is not None
    assert audit(books) == []


def test_a_failed_attempt_is_followed_by_another_when_it_is_due(
    books: Books, delivery_id: str
) -> None:
    assert _record(books, _claim(books, delivery_id), "pending", after_ms=30 * SECOND)
    shown = books.delivery(delivery_id)
    assert (shown["status"], shown["attempts"]) == ("pending", 1)
    assert shown["next_attempt_at"] is not None
    assert audit(books) == []

    books.pass_time(29 * SECOND)
    books.tick()
    assert (books.wakeups("callbacks"), _try_claim(books, delivery_id)) == ([], None)

    books.pass_time(SECOND)
    books.tick()
    assert books.wakeups("callbacks") == [delivery_id]
    assert _claim(books, delivery_id).attempts == 1


def test_an_early_wake_up_does_not_lose_the_due_time(books: Books, delivery_id: str) -> None:
    _record(books, _claim(books, delivery_id), "pending", after_ms=30 * SECOND)
    for _ in range(3):
        assert _try_claim(books, delivery_id) is None
        assert audit(books) == []


def test_a_delivery_that_is_due_after_a_clock_went_back_is_still_led_to(
    books: Books, delivery_id: str
) -> None:
    # A replica that was promoted may be behind the clock that wrote the record.
    books.pass_time(-5 * SECOND)

    assert _try_claim(books, delivery_id) is None
    assert audit(books) == []
    books.pass_time(5 * SECOND)
    books.tick()
    assert books.wakeups("callbacks") == [delivery_id]


def test_an_attempt_that_was_not_made_is_not_charged(books: Books, delivery_id: str) -> None:
    assert _record(books, _claim(books, delivery_id), "pending", after_ms=0, counts=False)

    shown = books.delivery(delivery_id)
    assert (shown["attempts"], len(shown["attempt_log"])) == (0, 1)
    books.tick()
    assert _claim(books, delivery_id).attempts == 0


def _put_back(books: Books, claim: DeliveryClaim, after_ms: int = 0) -> bool:
    return books.run(books.deliveries.defer(claim, after_ms=after_ms))


def test_a_delivery_that_is_put_back_is_due_again_and_nothing_is_told(
    books: Books, delivery_id: str
) -> None:
    assert _put_back(books, _claim(books, delivery_id), after_ms=4 * SECOND)

    shown = books.delivery(delivery_id)
    assert (shown["status"], shown["attempts"], shown["attempt_log"]) == ("pending", 0, [])
    assert audit(books) == []
    books.pass_time(4 * SECOND)
    books.tick()
    assert books.wakeups("callbacks") == [delivery_id]


def test_put_backs_are_counted_until_an_attempt_is_charged(books: Books, delivery_id: str) -> None:
    for times in range(3):
        claim = _claim(books, delivery_id)
        assert claim.deferrals == times
        _put_back(books, claim)
    assert _record(books, _claim(books, delivery_id), "pending", counts=False)
    assert _claim(books, delivery_id, "worker").deferrals == 3

    assert _record(books, _claim(books, delivery_id), "pending")

    assert _claim(books, delivery_id).deferrals == 0


def test_a_stale_claim_puts_nothing_back(books: Books, delivery_id: str) -> None:
    claim = _claim(books, delivery_id)

    assert not _put_back(books, replace(claim, fence=claim.fence - 1))
    assert books.delivery(delivery_id)["status"] == "delivering"


def test_the_delivery_of_a_dead_worker_is_claimed_again(books: Books, delivery_id: str) -> None:
    stale = _claim(books, delivery_id, "dead")
    books.pass_time(TIMES.lease)
    books.tick()

    assert books.wakeups("callbacks") == [delivery_id]
    current = _claim(books, delivery_id, "alive")
    assert current.fence > stale.fence
    assert not _record(books, stale, "delivered")
    assert _record(books, current, "delivered")
    assert audit(books) == []


def test_a_slow_attempt_is_kept_alive_by_the_pulse(books: Books, delivery_id: str) -> None:
    claim = _claim(books, delivery_id)
    for _ in range(4):
        books.pass_time(TIMES.lease // 2)
        assert books.tick(claim)[0] == []
        assert _try_claim(books, delivery_id, "two") is None

    assert _record(books, claim, "delivered")
    assert books.tick(claim)[0] == [delivery_id]


def test_an_older_fence_records_nothing(books: Books, delivery_id: str) -> None:
    claim = _claim(books, delivery_id)

    assert not _record(books, replace(claim, fence=claim.fence - 1), "delivered")
    assert not _record(books, replace(claim, owner="another"), "delivered")
    assert books.delivery(delivery_id)["attempt_log"] == []


def test_a_lost_wake_up_of_a_delivery_rings_again(books: Books, delivery_id: str) -> None:
    books.pass_time(TIMES.lease)
    books.tick()

    assert books.wakeups("callbacks") == [delivery_id]


def test_the_attempt_log_keeps_the_last_hundred(books: Books, delivery_id: str) -> None:
    for number in range(110):
        claim = _claim(books, delivery_id)
        step = books.deliveries.record(claim, "pending", {"number": number}, counts=False)
        assert books.run(step)

    log = books.delivery(delivery_id)["attempt_log"]
    assert [line["number"] for line in log] == list(range(10, 110))


def test_an_attempt_is_shown_as_it_was_told(books: Books, delivery_id: str) -> None:
    _record(books, _claim(books, delivery_id), "failed")

    assert books.delivery(delivery_id)["attempt_log"] == [ATTEMPT]


def test_every_run_of_a_job_has_its_own_delivery(books: Books) -> None:
    job_id = job_in(books, Status.FAILED)
    books.run(books.ledger.retry(job_id, "api:test"))
    books.finish(books.sending(job_id))

    shown = books.run(books.deliveries.of_job(job_id, runs=2))
    assert [(each["run"], each["type"]) for each in shown] == [
        (1, "job.failed"),
        (2, "job.succeeded"),
    ]


def test_pages_show_every_delivery_once_and_by_status(books: Books) -> None:
    made = [job_in(books, Status.CANCELED) for _ in range(25)]
    for delivery_id in books.wakeups("callbacks")[:5]:
        _record(books, _claim(books, delivery_id), "delivered")

    assert _walk(books, None) == made[::-1]
    assert _walk(books, "delivered") == made[:5][::-1]
    assert _walk(books, "pending") == made[5:][::-1]
    assert _walk(books, "failed") == []


def _walk(books: Books, status: Any) -> list[str]:
    jobs: list[str] = []
    cursor: int | None = None
    while True:
        page = books.run(books.deliveries.page(status, cursor=cursor, limit=4))
        jobs += [delivery["job_id"] for delivery in page.items]
        if page.next is None:
            return jobs
        cursor = page.next
