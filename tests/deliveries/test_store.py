"""Deliveries: claimed by one worker at a time, retried until they end, and logged."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from service.deliveries.delivery_filter import DeliveryFilter
from service.deliveries.store import DeliveryClaim
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.job_states import job_in
from tests.support.ledger import DAY, SECOND, TIMES, LedgerHarness

ATTEMPT = {
    "number": 1,
    "status": 500,
    "code": "server_error",
    "message": 'said "no" \\ é 🎉',
    "next_in_ms": None,
}


@pytest.fixture
def delivery_id(ledger: LedgerHarness) -> str:
    """A delivery whose wake-up was just taken from the broker."""
    job_in(ledger, Status.SUCCEEDED, metadata={"order": 7})
    ledger.take_messages()
    [delivery_id] = ledger.take_messages("callbacks")
    return delivery_id


def _try_claim(
    ledger: LedgerHarness, delivery_id: str, owner: str = "worker"
) -> DeliveryClaim | None:
    return ledger.run(ledger.deliveries.claim(delivery_id, owner))


def _claim(ledger: LedgerHarness, delivery_id: str, owner: str = "worker") -> DeliveryClaim:
    claim = _try_claim(ledger, delivery_id, owner)
    assert claim is not None
    return claim


def _record(ledger: LedgerHarness, claim: DeliveryClaim, to: Any, **options: Any) -> bool:
    return ledger.run(ledger.deliveries.record(claim, to, ATTEMPT, **options))


def test_a_claim_carries_the_stored_payload(ledger: LedgerHarness, delivery_id: str) -> None:
    claim = _claim(ledger, delivery_id)

    assert (claim.endpoint, claim.attempts, claim.fence) == ("crm", 0, 1)
    assert json.loads(claim.payload)["data"]["metadata"] == {"order": 7}
    assert "metadata" not in repr(claim)
    assert ledger.delivery(delivery_id)["status"] == "delivering"


def test_a_delivery_is_claimed_by_one_worker(ledger: LedgerHarness, delivery_id: str) -> None:
    first = _claim(ledger, delivery_id, "one")

    assert _try_claim(ledger, delivery_id, "two") is None
    again = _claim(ledger, delivery_id, "one")
    assert again.payload == first.payload, "claiming again returns a lost reply"


def test_an_unknown_delivery_cannot_be_claimed_or_read(ledger: LedgerHarness) -> None:
    assert _try_claim(ledger, "dlv_unknown") is None
    assert ledger.run(ledger.deliveries.read("dlv_unknown")) is None


@pytest.mark.parametrize("end", ["delivered", "failed"])
def test_an_ended_delivery_stays_ended(ledger: LedgerHarness, delivery_id: str, end: str) -> None:
    claim = _claim(ledger, delivery_id)
    assert _record(ledger, claim, end)

    assert not _record(ledger, claim, "pending", after_ms=0)
    ledger.pass_time(DAY)
    ledger.heartbeat()
    assert ledger.take_messages("callbacks") == []
    assert _try_claim(ledger, delivery_id) is None
    shown = ledger.delivery(delivery_id)
    assert (shown["status"], shown["attempts"], shown["next_attempt_at"]) == (end, 1, None)
    assert shown["ended_at"] is not None
    assert audit(ledger) == []


def test_a_failed_attempt_is_retried_when_due(ledger: LedgerHarness, delivery_id: str) -> None:
    assert _record(ledger, _claim(ledger, delivery_id), "pending", after_ms=30 * SECOND)
    shown = ledger.delivery(delivery_id)
    assert (shown["status"], shown["attempts"]) == ("pending", 1)
    assert shown["next_attempt_at"] is not None
    assert audit(ledger) == []

    ledger.pass_time(29 * SECOND)
    ledger.heartbeat()
    assert (ledger.take_messages("callbacks"), _try_claim(ledger, delivery_id)) == ([], None)

    ledger.pass_time(SECOND)
    ledger.heartbeat()
    assert ledger.take_messages("callbacks") == [delivery_id]
    assert _claim(ledger, delivery_id).attempts == 1


def test_an_early_wake_up_keeps_the_due_time(ledger: LedgerHarness, delivery_id: str) -> None:
    _record(ledger, _claim(ledger, delivery_id), "pending", after_ms=30 * SECOND)
    for _ in range(3):
        assert _try_claim(ledger, delivery_id) is None
        assert audit(ledger) == []


def test_a_delivery_becomes_due_after_the_clock_went_back(
    ledger: LedgerHarness, delivery_id: str
) -> None:
    # The clock of a promoted replica may be behind the one that wrote the record.
    ledger.pass_time(-5 * SECOND)

    assert _try_claim(ledger, delivery_id) is None
    assert audit(ledger) == []
    ledger.pass_time(5 * SECOND)
    ledger.heartbeat()
    assert ledger.take_messages("callbacks") == [delivery_id]


def test_an_uncharged_attempt_is_logged_but_not_counted(
    ledger: LedgerHarness, delivery_id: str
) -> None:
    assert _record(ledger, _claim(ledger, delivery_id), "pending", after_ms=0, counts=False)

    shown = ledger.delivery(delivery_id)
    assert (shown["attempts"], len(shown["attempt_log"])) == (0, 1)
    ledger.heartbeat()
    assert _claim(ledger, delivery_id).attempts == 0


def _defer(ledger: LedgerHarness, claim: DeliveryClaim, after_ms: int = 0) -> bool:
    return ledger.run(ledger.deliveries.defer(claim, after_ms=after_ms))


def test_a_deferred_delivery_is_due_again_and_its_log_stays_empty(
    ledger: LedgerHarness, delivery_id: str
) -> None:
    assert _defer(ledger, _claim(ledger, delivery_id), after_ms=4 * SECOND)

    shown = ledger.delivery(delivery_id)
    assert (shown["status"], shown["attempts"], shown["attempt_log"]) == ("pending", 0, [])
    assert audit(ledger) == []
    ledger.pass_time(4 * SECOND)
    ledger.heartbeat()
    assert ledger.take_messages("callbacks") == [delivery_id]


def test_deferrals_are_counted_until_an_attempt_is_charged(
    ledger: LedgerHarness, delivery_id: str
) -> None:
    for count in range(3):
        claim = _claim(ledger, delivery_id)
        assert claim.deferrals == count
        _defer(ledger, claim)
    assert _record(ledger, _claim(ledger, delivery_id), "pending", counts=False)
    assert _claim(ledger, delivery_id, "worker").deferrals == 3

    assert _record(ledger, _claim(ledger, delivery_id), "pending")

    assert _claim(ledger, delivery_id).deferrals == 0


def test_a_stale_claim_cannot_defer(ledger: LedgerHarness, delivery_id: str) -> None:
    claim = _claim(ledger, delivery_id)

    assert not _defer(ledger, replace(claim, fence=claim.fence - 1))
    assert ledger.delivery(delivery_id)["status"] == "delivering"


def test_the_delivery_of_a_dead_worker_is_claimed_again(
    ledger: LedgerHarness, delivery_id: str
) -> None:
    dead_claim = _claim(ledger, delivery_id, "dead")
    ledger.pass_time(TIMES.lease)
    ledger.heartbeat()

    assert ledger.take_messages("callbacks") == [delivery_id]
    [listed] = ledger.run(
        ledger.deliveries.page(DeliveryFilter(("pending",)), cursor=None, limit=10)
    ).items
    assert listed["id"] == delivery_id
    current = _claim(ledger, delivery_id, "alive")
    assert current.fence > dead_claim.fence
    assert not _record(ledger, dead_claim, "delivered")
    assert _record(ledger, current, "delivered")
    assert audit(ledger) == []


def test_the_heartbeat_keeps_the_lease_of_a_slow_attempt(
    ledger: LedgerHarness, delivery_id: str
) -> None:
    claim = _claim(ledger, delivery_id)
    for _ in range(4):
        ledger.pass_time(TIMES.lease // 2)
        assert ledger.heartbeat(claim)[0] == []
        assert _try_claim(ledger, delivery_id, "two") is None

    assert _record(ledger, claim, "delivered")
    assert ledger.heartbeat(claim)[0] == [delivery_id]


def test_a_stale_claim_cannot_record(ledger: LedgerHarness, delivery_id: str) -> None:
    claim = _claim(ledger, delivery_id)

    assert not _record(ledger, replace(claim, fence=claim.fence - 1), "delivered")
    assert not _record(ledger, replace(claim, owner="another"), "delivered")
    assert ledger.delivery(delivery_id)["attempt_log"] == []


def test_a_lost_wake_up_of_a_delivery_is_sent_again(
    ledger: LedgerHarness, delivery_id: str
) -> None:
    ledger.pass_time(TIMES.lease)
    ledger.heartbeat()

    assert ledger.take_messages("callbacks") == [delivery_id]


def test_the_attempt_log_keeps_the_last_hundred_attempts(
    ledger: LedgerHarness, delivery_id: str
) -> None:
    for number in range(110):
        claim = _claim(ledger, delivery_id)
        step = ledger.deliveries.record(claim, "pending", {"number": number}, counts=False)
        assert ledger.run(step)

    log = ledger.delivery(delivery_id)["attempt_log"]
    assert [line["number"] for line in log] == list(range(10, 110))


def test_an_attempt_is_shown_as_recorded(ledger: LedgerHarness, delivery_id: str) -> None:
    _record(ledger, _claim(ledger, delivery_id), "failed")

    assert ledger.delivery(delivery_id)["attempt_log"] == [ATTEMPT]


def test_every_run_of_a_job_has_its_own_delivery(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.FAILED)
    ledger.run(ledger.core.retry(job_id, "api:test"))
    ledger.finish(ledger.claim_and_send(job_id))

    shown = ledger.run(ledger.deliveries.of_job(job_id, runs=2))
    assert [(delivery["run"], delivery["type"]) for delivery in shown] == [
        (1, "job.failed"),
        (2, "job.succeeded"),
    ]


def test_a_callback_is_shown_as_sent_before_and_after_it_is_delivered(
    ledger: LedgerHarness, delivery_id: str
) -> None:
    claim = _claim(ledger, delivery_id)
    sent = json.loads(claim.payload)

    assert ledger.delivery(delivery_id)["payload"] == sent
    _record(ledger, claim, "delivered")
    assert ledger.delivery(delivery_id)["payload"] == sent


def test_pages_list_every_delivery_once_and_filter_by_status(ledger: LedgerHarness) -> None:
    jobs = [job_in(ledger, Status.CANCELED) for _ in range(25)]
    for delivery_id in ledger.take_messages("callbacks")[:5]:
        _record(ledger, _claim(ledger, delivery_id), "delivered")

    assert _jobs_of_all_pages(ledger) == jobs[::-1]
    assert _jobs_of_all_pages(ledger, "delivered") == jobs[:5][::-1]
    assert _jobs_of_all_pages(ledger, "pending") == jobs[5:][::-1]
    assert _jobs_of_all_pages(ledger, "failed") == []


def _jobs_of_all_pages(ledger: LedgerHarness, *statuses: Any) -> list[str]:
    listed: list[str] = []
    cursor: int | None = None
    while True:
        page = ledger.run(ledger.deliveries.page(DeliveryFilter(statuses), cursor=cursor, limit=4))
        listed += [delivery["job_id"] for delivery in page.items]
        if page.next is None:
            return listed
        cursor = page.next
