"""The examination: callbacks that are owed and jobs that events have made are all there."""

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
def test_a_callback_that_is_missing_is_opened_as_it_would_have_been(
    ledger: LedgerHarness, status: Status
) -> None:
    job_id = job_in(ledger, status)
    [before] = ledger.deliveries_of(job_id)
    drop_delivery(ledger, before["id"])

    assert_repairable(ledger, (job_id, "no callback", before["id"]))

    [after] = ledger.deliveries_of(job_id)
    said = {"id", "type", "job_id", "run", "callback"}
    assert {name: after[name] for name in said} == {name: before[name] for name in said}
    assert after["payload"]["data"] == before["payload"]["data"]
    assert (ledger.status(job_id), claim_callbacks(ledger)) == (status, [before["id"]])


def test_a_callback_that_may_have_been_forgotten_is_not_sent_again(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.SUCCEEDED)
    drop_delivery(ledger, delivery_of(ledger, job_id))
    ledger.pass_time(TIMES.keep + SECOND)
    assert diagnosis(ledger, repair=True) == []


# -- deliveries


@pytest.mark.parametrize("index", ["hg:dlvs", "hg:dlvs:status:pending"])
def test_a_delivery_that_fell_out_of_a_list_is_listed_again(
    ledger: LedgerHarness, index: str
) -> None:
    delivery_id = delivery_of(ledger, job_in(ledger, Status.SUCCEEDED))
    ledger.store.zrem(index, delivery_id)
    assert_repairable(ledger, (delivery_id, "unlisted", index))
    assert claim_callbacks(ledger) == [delivery_id]


@pytest.mark.parametrize(
    "index", ["hg:dlvs", "hg:dlvs:status:pending", "hg:due", "hg:wakes", "hg:leases"]
)
def test_a_delivery_without_a_record_is_taken_out(ledger: LedgerHarness, index: str) -> None:
    ledger.store.zadd(index, {"dlv_gone_1": 1})
    assert_repairable(ledger, ("dlv_gone_1", "no record", index))


def test_a_delivery_in_the_list_of_another_state_is_taken_out(ledger: LedgerHarness) -> None:
    delivery_id = delivery_of(ledger, job_in(ledger, Status.SUCCEEDED))
    ledger.store.zadd("hg:dlvs:status:failed", {delivery_id: 1})
    assert_repairable(ledger, (delivery_id, "wrong index", "hg:dlvs:status:failed"))


def test_a_delivery_that_nothing_leads_to_is_rung_for(ledger: LedgerHarness) -> None:
    delivery_id = delivery_of(ledger, job_in(ledger, Status.SUCCEEDED))
    ledger.take_messages("callbacks")
    ledger.store.zrem("hg:wakes", delivery_id)
    assert_repairable(ledger, (delivery_id, "unreachable", "pending"))
    ledger.heartbeat()
    assert claim_callbacks(ledger) == [delivery_id]


def test_a_delivery_whose_claim_would_never_lapse_is_tried_again(ledger: LedgerHarness) -> None:
    delivery_id = delivery_of(ledger, job_in(ledger, Status.SUCCEEDED))
    assert claim_callbacks(ledger) == [delivery_id]
    ledger.store.zrem("hg:leases", delivery_id)
    assert_repairable(ledger, (delivery_id, "never lapses", "hg:leases"))
    ledger.pass_time(TIMES.lease + SECOND)
    ledger.heartbeat()
    assert claim_callbacks(ledger) == [delivery_id]


def test_a_delivery_that_nothing_would_ever_forget_is_forgotten(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.SUCCEEDED)
    delivery_id = delivery_of(ledger, job_id)
    claim = ledger.run(ledger.deliveries.claim(delivery_id, "worker"))
    assert claim is not None
    assert ledger.run(ledger.deliveries.record(claim, "delivered", {}))
    drop_job(ledger, job_id)  # with which it would have gone
    assert_repairable(ledger, (delivery_id, "never forgotten", "hg:retention"))


def test_a_delivery_whose_job_is_gone_is_named(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.SUCCEEDED)
    delivery_id = delivery_of(ledger, job_id)
    drop_job(ledger, job_id)
    assert_unrepairable(ledger, (delivery_id, "no job", job_id))


# -- events


def _accept(ledger: LedgerHarness, **changes: Any) -> str:
    notes = [{"rule": "thank-you", "outcome": "matched", "message": None}]
    asked = draft(delay_ms=HOUR, **changes)  # it has no turn that would be missed too
    return ledger.accept(Event("evt_1"), asked, notes=notes).jobs[0]


def test_a_job_that_its_event_lists_and_that_is_gone_is_named(ledger: LedgerHarness) -> None:
    job_id = _accept(ledger)
    drop_job(ledger, job_id)
    assert_unrepairable(ledger, ("stripe:evt_1", "lost job", job_id))


def test_a_job_that_may_have_been_forgotten_is_not_missed(ledger: LedgerHarness) -> None:
    job_id = _accept(ledger)
    ledger.pass_time(TIMES.keep + SECOND)
    drop_job(ledger, job_id)
    assert diagnosis(ledger) == []


def test_an_earlier_events_job_under_the_same_business_key_is_not_missed(
    ledger: LedgerHarness,
) -> None:
    job_id = ledger.accept(Event("evt_0"), draft(once_key="k", delay_ms=HOUR)).jobs[0]
    assert _accept(ledger, once_key="k") == job_id != derived_id("job", "stripe", "evt_1", "x")
    drop_job(ledger, job_id)
    assert diagnosis(ledger) == []


def test_an_event_that_cannot_be_read_is_named(ledger: LedgerHarness) -> None:
    ledger.accept(Event("evt_1"))
    ledger.store.hset("hg:event:stripe:evt_1", "jobs", "[")
    assert_unrepairable(ledger, ("stripe:evt_1", "broken record", "jobs"))
