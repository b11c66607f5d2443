"""Consistency checks: deliveries, and the jobs of events."""

from __future__ import annotations

from typing import Any

import pytest

from service.jobs.model import FINAL, Status, derived_id
from tests.support.consistency import (
    assert_repairable,
    assert_unrepairable,
    claim_callbacks,
    delivery_of,
)
from tests.support.corruption import drop_delivery, drop_job
from tests.support.invariants import diagnosis
from tests.support.job_states import job_in
from tests.support.ledger import HOUR, SECOND, TIMES, Event, LedgerHarness, draft


@pytest.mark.parametrize("status", sorted(FINAL))
def test_a_missing_delivery_is_created(ledger: LedgerHarness, status: Status) -> None:
    job_id = job_in(ledger, status)
    [before] = ledger.deliveries_of(job_id)
    drop_delivery(ledger, before["id"])

    assert_repairable(ledger, (job_id, "no callback", before["id"]))

    [after] = ledger.deliveries_of(job_id)
    compared = {"id", "type", "job_id", "run", "callback"}
    assert {name: after[name] for name in compared} == {name: before[name] for name in compared}
    assert after["payload"]["data"] == before["payload"]["data"]
    assert (ledger.status(job_id), claim_callbacks(ledger)) == (status, [before["id"]])


def test_a_delivery_that_may_have_been_pruned_is_not_created_again(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.SUCCEEDED)
    drop_delivery(ledger, delivery_of(ledger, job_id))
    ledger.pass_time(TIMES.keep + SECOND)
    assert diagnosis(ledger, repair=True) == []


# -- deliveries


@pytest.mark.parametrize("index", ["hg:dlvs", "hg:dlvs:status:pending"])
def test_an_unlisted_delivery_is_listed_again(ledger: LedgerHarness, index: str) -> None:
    delivery_id = delivery_of(ledger, job_in(ledger, Status.SUCCEEDED))
    ledger.store.zrem(index, delivery_id)
    assert_repairable(ledger, (delivery_id, "not indexed", index))
    assert claim_callbacks(ledger) == [delivery_id]


@pytest.mark.parametrize(
    "index", ["hg:dlvs", "hg:dlvs:status:pending", "hg:due", "hg:wakes", "hg:leases"]
)
def test_an_index_entry_without_a_delivery_is_removed(ledger: LedgerHarness, index: str) -> None:
    ledger.store.zadd(index, {"dlv_gone_1": 1})
    assert_repairable(ledger, ("dlv_gone_1", "no record", index))


def test_a_delivery_listed_under_another_status_is_moved(ledger: LedgerHarness) -> None:
    delivery_id = delivery_of(ledger, job_in(ledger, Status.SUCCEEDED))
    ledger.store.zadd("hg:dlvs:status:failed", {delivery_id: 1})
    assert_repairable(ledger, (delivery_id, "wrong index", "hg:dlvs:status:failed"))


def test_an_unreachable_delivery_is_woken(ledger: LedgerHarness) -> None:
    delivery_id = delivery_of(ledger, job_in(ledger, Status.SUCCEEDED))
    ledger.take_messages("callbacks")
    ledger.store.zrem("hg:wakes", delivery_id)
    assert_repairable(ledger, (delivery_id, "orphaned", "pending"))
    ledger.heartbeat()
    assert claim_callbacks(ledger) == [delivery_id]


def test_a_delivery_without_lease_index_is_attempted_again(ledger: LedgerHarness) -> None:
    delivery_id = delivery_of(ledger, job_in(ledger, Status.SUCCEEDED))
    assert claim_callbacks(ledger) == [delivery_id]
    ledger.store.zrem("hg:leases", delivery_id)
    assert_repairable(ledger, (delivery_id, "lease never expires", "hg:leases"))
    ledger.pass_time(TIMES.lease + SECOND)
    ledger.heartbeat()
    assert claim_callbacks(ledger) == [delivery_id]


def test_a_delivery_missing_from_the_retention_index_is_pruned(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.SUCCEEDED)
    delivery_id = delivery_of(ledger, job_id)
    claim = ledger.run(ledger.deliveries.claim(delivery_id, "worker"))
    assert claim is not None
    assert ledger.run(ledger.deliveries.record(claim, "delivered", {}))
    drop_job(ledger, job_id)  # which would have been pruned with it
    assert_repairable(ledger, (delivery_id, "never pruned", "hg:retention"))


def test_a_delivery_without_a_job_is_reported(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.SUCCEEDED)
    delivery_id = delivery_of(ledger, job_id)
    drop_job(ledger, job_id)
    assert_unrepairable(ledger, (delivery_id, "no job", job_id))


# -- events


def _accept(ledger: LedgerHarness, **changes: Any) -> str:
    notes = [{"rule": "thank-you", "outcome": "matched", "message": None}]
    scheduled = draft(delay_ms=HOUR, **changes)  # without a turn that could be missing too
    return ledger.accept(Event("evt_1"), scheduled, notes=notes).jobs[0]


def test_a_missing_job_of_an_event_is_reported(ledger: LedgerHarness) -> None:
    job_id = _accept(ledger)
    drop_job(ledger, job_id)
    assert_unrepairable(ledger, ("stripe:evt_1", "lost job", job_id))


def test_a_job_that_may_have_been_pruned_is_not_reported(ledger: LedgerHarness) -> None:
    job_id = _accept(ledger)
    ledger.pass_time(TIMES.keep + SECOND)
    drop_job(ledger, job_id)
    assert diagnosis(ledger) == []


def test_a_job_of_an_earlier_event_with_the_same_business_key_is_not_reported(
    ledger: LedgerHarness,
) -> None:
    job_id = ledger.accept(Event("evt_0"), draft(once_key="k", delay_ms=HOUR)).jobs[0]
    assert _accept(ledger, once_key="k") == job_id != derived_id("job", "stripe", "evt_1", "x")
    drop_job(ledger, job_id)
    assert diagnosis(ledger) == []


def test_an_unreadable_event_is_reported(ledger: LedgerHarness) -> None:
    ledger.accept(Event("evt_1"))
    ledger.store.hset("hg:event:stripe:evt_1", "jobs", "[")
    assert_unrepairable(ledger, ("stripe:evt_1", "broken record", "jobs"))
