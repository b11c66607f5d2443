"""The examination: callbacks that are owed and jobs that events have made are all there."""

from __future__ import annotations

from typing import Any

import pytest

from service.jobs.model import FINAL, Status, derived_id
from tests.support.corruption import drop_delivery, drop_job
from tests.support.health import delivery_of, lost, mended, take_callbacks
from tests.support.invariants import diagnosis
from tests.support.job_stages import job_in
from tests.support.ledgers import HOUR, SECOND, TIMES, Books, Event, draft


@pytest.mark.parametrize("status", sorted(FINAL))
def test_a_callback_that_is_missing_is_opened_as_it_would_have_been(
    books: Books, status: Status
) -> None:
    job_id = job_in(books, status)
    [before] = books.owed(job_id)
    drop_delivery(books, before["id"])

    mended(books, (job_id, "no callback", before["id"]))

    [after] = books.owed(job_id)
    said = {"id", "type", "job_id", "run", "callback"}
    assert {name: after[name] for name in said} == {name: before[name] for name in said}
    assert after["payload"]["data"] == before["payload"]["data"]
    assert (books.status(job_id), take_callbacks(books)) == (status, [before["id"]])


def test_a_callback_that_may_have_been_forgotten_is_not_sent_again(books: Books) -> None:
    job_id = job_in(books, Status.SUCCEEDED)
    drop_delivery(books, delivery_of(books, job_id))
    books.pass_time(TIMES.keep + SECOND)
    assert diagnosis(books, repair=True) == []


# -- deliveries


@pytest.mark.parametrize("index", ["hg:dlvs", "hg:dlvs:status:pending"])
def test_a_delivery_that_fell_out_of_a_list_is_listed_again(books: Books, index: str) -> None:
    delivery_id = delivery_of(books, job_in(books, Status.SUCCEEDED))
    books.store.zrem(index, delivery_id)
    mended(books, (delivery_id, "unlisted", index))
    assert take_callbacks(books) == [delivery_id]


@pytest.mark.parametrize(
    "index", ["hg:dlvs", "hg:dlvs:status:pending", "hg:due", "hg:wakes", "hg:leases"]
)
def test_a_delivery_without_a_record_is_taken_out(books: Books, index: str) -> None:
    books.store.zadd(index, {"dlv_gone_1": 1})
    mended(books, ("dlv_gone_1", "no record", index))


def test_a_delivery_in_the_list_of_another_state_is_taken_out(books: Books) -> None:
    delivery_id = delivery_of(books, job_in(books, Status.SUCCEEDED))
    books.store.zadd("hg:dlvs:status:failed", {delivery_id: 1})
    mended(books, (delivery_id, "wrong index", "hg:dlvs:status:failed"))


def test_a_delivery_that_nothing_leads_to_is_rung_for(books: Books) -> None:
    delivery_id = delivery_of(books, job_in(books, Status.SUCCEEDED))
    books.wakeups("callbacks")
    books.store.zrem("hg:wakes", delivery_id)
    mended(books, (delivery_id, "unreachable", "pending"))
    books.tick()
    assert take_callbacks(books) == [delivery_id]


def test_a_delivery_whose_claim_would_never_lapse_is_tried_again(books: Books) -> None:
    delivery_id = delivery_of(books, job_in(books, Status.SUCCEEDED))
    assert take_callbacks(books) == [delivery_id]
    books.store.zrem("hg:leases", delivery_id)
    mended(books, (delivery_id, "never lapses", "hg:leases"))
    books.pass_time(TIMES.lease + SECOND)
    books.tick()
    assert take_callbacks(books) == [delivery_id]


def test_a_delivery_that_nothing_would_ever_forget_is_forgotten(books: Books) -> None:
    job_id = job_in(books, Status.SUCCEEDED)
    delivery_id = delivery_of(books, job_id)
    claim = books.run(books.deliveries.claim(delivery_id, "worker"))
    assert claim is not None
    assert books.run(books.deliveries.record(claim, "delivered", {}))
    drop_job(books, job_id)  # with which it would have gone
    mended(books, (delivery_id, "never forgotten", "hg:retention"))


def test_a_delivery_whose_job_is_gone_is_named(books: Books) -> None:
    job_id = job_in(books, Status.SUCCEEDED)
    delivery_id = delivery_of(books, job_id)
    drop_job(books, job_id)
    lost(books, (delivery_id, "no job", job_id))


# -- events


def _accept(books: Books, **changes: Any) -> str:
    notes = [{"rule": "thank-you", "outcome": "matched", "message": None}]
    asked = draft(delay_ms=HOUR, **changes)  # it has no turn that would be missed too
    return books.accept(Event("evt_1"), asked, notes=notes).jobs[0]


def test_a_job_that_its_event_lists_and_that_is_gone_is_named(books: Books) -> None:
    job_id = _accept(books)
    drop_job(books, job_id)
    lost(books, ("stripe:evt_1", "lost job", job_id))


def test_a_job_that_may_have_been_forgotten_is_not_missed(books: Books) -> None:
    job_id = _accept(books)
    books.pass_time(TIMES.keep + SECOND)
    drop_job(books, job_id)
    assert diagnosis(books) == []


def test_an_earlier_events_job_under_the_same_business_key_is_not_missed(books: Books) -> None:
    job_id = books.accept(Event("evt_0"), draft(once_key="k", delay_ms=HOUR)).jobs[0]
    assert _accept(books, once_key="k") == job_id != derived_id("job", "stripe", "evt_1", "x")
    drop_job(books, job_id)
    assert diagnosis(books) == []


def test_an_event_that_cannot_be_read_is_named(books: Books) -> None:
    books.accept(Event("evt_1"))
    books.store.hset("hg:event:stripe:evt_1", "jobs", "[")
    lost(books, ("stripe:evt_1", "broken record", "jobs"))
