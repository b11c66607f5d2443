"""Follower exports: one page per claim, each stored once, whatever dies or is repeated."""

from __future__ import annotations

from dataclasses import replace

from service.jobs.model import Status
from tests.support.follower_rows import (
    PK,
    add_export,
    append_page,
    claim_and_append,
    new_rows,
    row,
    rows,
    started_export,
    stored_rows,
)
from tests.support.invariants import audit, illegal_steps
from tests.support.ledger import SECOND, TIMES, LedgerHarness
from tests.support.limited_ledger import spent_ms


def test_an_export_resolves_its_user_and_then_reads_one_page_per_claim(
    ledger: LedgerHarness,
) -> None:
    job_id = add_export(ledger)
    assert ledger.take_messages() == [job_id]
    # When it has resolved the user, and read two pages
    assert claim_and_append(ledger, job_id, (), "first", expected=250) == "more"
    assert ledger.take_messages() == [job_id]
    assert claim_and_append(ledger, job_id, rows(0, 200), "second", expected=250) == "more"
    between = ledger.record(job_id)
    assert (between.pk, between.cursor, between.pages, between.users) == (PK, "second", 1, 200)
    assert ledger.take_messages() == [job_id]
    assert claim_and_append(ledger, job_id, rows(200, 250), expected=250) == "succeeded"
    # Then it has ended, with one delivery, and every row is stored in order
    assert stored_rows(ledger, job_id) == rows(0, 250)
    shown = ledger.api_job(job_id)
    assert shown["result"] == {
        "users": 250,
        "pages": 2,
        "complete": True,
        "incomplete_reason": None,
        "dropped_rows": 0,
        "result_url": f"/jobs/{job_id}/result",
    }
    assert shown["progress"] | {"eta": None} == shown["progress"]
    assert [delivery["type"] for delivery in ledger.deliveries_of(job_id)] == ["job.succeeded"]
    assert (ledger.turn(), audit(ledger), illegal_steps(ledger, job_id)) == (None, [], [])


def test_each_claim_charges_one_read_and_further_reads_are_charged_afterwards(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger, 2)
    assert len(spent_ms(ledger, "lookup")) == 3
    claim_and_append(ledger, job_id, rows(400, 500), "3", reads=2)
    assert len(spent_ms(ledger, "lookup")) == 6


def test_other_jobs_run_between_two_pages_of_an_export(ledger: LedgerHarness) -> None:
    job_id = add_export(ledger)
    claim = ledger.claim(job_id)
    dm = ledger.add_job()
    ledger.take_messages()

    assert append_page(ledger, claim, (), "0") == "more"

    assert (ledger.turn(), ledger.status(job_id)) == (dm, Status.WAITING)
    ledger.finish(ledger.claim_and_send(dm))
    assert ledger.turn() == job_id
    assert audit(ledger) == []


# -- stored once


def test_a_page_appended_twice_is_stored_once(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger)
    claim = ledger.claim(job_id)
    page = rows(0, 200)
    assert append_page(ledger, claim, page, "1") == "more"
    before = ledger.record(job_id)
    counters = ledger.store.hgetall("hg:counters")
    # When the reply was lost, and the page is appended again
    assert append_page(ledger, claim, page, "1") == "more"
    # Then nothing has changed
    assert (ledger.record(job_id), ledger.store.hgetall("hg:counters")) == (before, counters)
    assert stored_rows(ledger, job_id) == page
    # And the next claim continues after it
    assert claim_and_append(ledger, job_id, rows(200, 300), "2") == "more"
    assert stored_rows(ledger, job_id) == rows(0, 300)


def test_the_last_page_appended_twice_creates_one_delivery(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger)
    claim = ledger.claim(job_id)
    assert append_page(ledger, claim, rows(0, 50)) == "succeeded"
    assert append_page(ledger, claim, rows(0, 50)) == "succeeded"
    assert len(ledger.deliveries_of(job_id)) == 1
    assert stored_rows(ledger, job_id) == rows(0, 50)


def test_a_frozen_worker_appends_nothing_after_another_has_continued(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger)
    frozen = ledger.claim(job_id, "frozen")
    new = new_rows(ledger, job_id, rows(0, 200))
    # Given that its lease has expired, and another worker has read the same page and the next
    ledger.pass_time(TIMES.lease + SECOND)
    ledger.heartbeat()
    assert claim_and_append(ledger, job_id, rows(0, 200), "1", owner="other") == "more"
    assert claim_and_append(ledger, job_id, rows(200, 400), "2", owner="other") == "more"
    before = ledger.record(job_id)
    # When it resumes with the rows that were new
    assert append_page(ledger, frozen, new, "1") == "lost"
    # Then it changes nothing, also while the other reads on
    assert ledger.record(job_id) == before
    other = ledger.claim(job_id, "other")
    assert append_page(ledger, frozen, new, "1") == "lost"
    assert append_page(ledger, replace(frozen, fence=other.fence), new, "1") == "lost"
    assert append_page(ledger, replace(frozen, owner="other"), new, "1") == "lost"
    assert stored_rows(ledger, job_id) == rows(0, 400)
    assert append_page(ledger, other, rows(400, 410)) == "succeeded"
    assert stored_rows(ledger, job_id) == rows(0, 410)
    assert audit(ledger) == []


def test_a_worker_without_a_lease_appends_nothing(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger)
    claim = ledger.claim(job_id)
    ledger.pass_time(TIMES.lease + SECOND)
    assert append_page(ledger, claim, rows(0, 200), "1") == "lost"
    assert ledger.record(job_id).users == 0


def test_a_dead_worker_costs_one_page_only(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    ledger.claim(job_id, "dying")
    ledger.pass_time(TIMES.lease + SECOND)
    ledger.heartbeat()
    claim = ledger.claim(job_id, "successor")
    assert (claim.job.cursor, claim.job.users, claim.job.attempts) == ("1", 200, 2)
    assert append_page(ledger, claim, rows(200, 400), "2") == "more"
    assert stored_rows(ledger, job_id) == rows(0, 400)
    assert audit(ledger) == []


def test_overlapping_pages_append_only_new_rows_in_order(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    # Given a page that repeats the end of the previous one, and one of its own rows
    page = [*rows(150, 210), row(205), *rows(199, 260)]
    new = new_rows(ledger, job_id, page)
    assert new == rows(200, 260)
    assert claim_and_append(ledger, job_id, new) == "succeeded"
    assert stored_rows(ledger, job_id) == rows(0, 260)


def test_the_first_of_two_rows_of_a_user_on_a_page_is_kept(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger)
    page = [row(1), row(2), row(1, full_name="Another"), row(3), row(2)]
    assert new_rows(ledger, job_id, page) == [row(1), row(2), row(3)]


def test_a_page_of_twenty_thousand_users_is_stored_whole(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, expected=20_000)
    page = rows(0, 20_000)
    assert new_rows(ledger, job_id, page) == page
    assert claim_and_append(ledger, job_id, page, "1", expected=20_000) == "more"
    assert new_rows(ledger, job_id, rows(19_999, 20_001)) == [row(20_000)]
    assert stored_rows(ledger, job_id, 19_990) == rows(19_990, 20_000)
    assert stored_rows(ledger, job_id, 399, 402) == rows(399, 402)
