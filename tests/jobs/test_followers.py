"""Follower exports: one page per claim, each stored once, whatever dies or is repeated."""

from __future__ import annotations

from dataclasses import replace

import pytest
from redis.exceptions import OutOfMemoryError

from service.jobs.claims import AccountEffect
from service.jobs.model import Failure, Status
from tests.support.follower_rows import (
    PAGE,
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
from tests.support.ledger import HOUR, SECOND, TIMES, LedgerHarness
from tests.support.limited_ledger import spent_ms
from tests.support.store import out_of_memory

MAX_EMPTY_PAGES = 10


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
    assert shown["result"] == {"users": 250, "pages": 2, "result_url": f"/jobs/{job_id}/result"}
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
    job_id = started_export(ledger)
    page = rows(0, 20_000)
    assert new_rows(ledger, job_id, page) == page
    assert claim_and_append(ledger, job_id, page, "1", expected=20_000) == "more"
    assert new_rows(ledger, job_id, rows(19_999, 20_001)) == [row(20_000)]
    assert stored_rows(ledger, job_id, 19_990) == rows(19_990, 20_000)
    assert stored_rows(ledger, job_id, 399, 402) == rows(399, 402)


# -- ends


def test_fifty_deaths_at_one_page_fail_the_export_and_keep_its_rows(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger, 1)
    for number in range(50):
        assert ledger.try_claim(job_id, f"dying-{number}") is not None
        ledger.pass_time(TIMES.lease + SECOND)
        ledger.heartbeat()
    assert ledger.try_claim(job_id) is None
    shown = ledger.api_job(job_id)
    assert (shown["status"], shown["error"]["code"]) == ("failed", "attempts_exhausted")
    assert stored_rows(ledger, job_id) == rows(0, 200)


def test_a_stored_page_resets_the_failure_counters(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger)
    for number in range(45):
        ledger.claim(job_id, f"dying-{number}")
        ledger.pass_time(TIMES.lease + SECOND)
        ledger.heartbeat()
    assert ledger.release(ledger.claim(job_id), Status.WAITING, after_ms=SECOND) == "ok"
    ledger.pass_time(2 * SECOND)
    ledger.heartbeat()
    assert (ledger.record(job_id).attempts, ledger.record(job_id).failed_attempts) == (46, 1)

    assert claim_and_append(ledger, job_id, rows(0, 200), "1") == "more"

    assert (ledger.record(job_id).attempts, ledger.record(job_id).failed_attempts) == (0, 0)


def test_a_pagination_loop_fails_the_export_and_keeps_its_rows(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger, 1)
    replies = [
        claim_and_append(ledger, job_id, (), f"{number % 3}") for number in range(MAX_EMPTY_PAGES)
    ]
    assert replies == ["more"] * (MAX_EMPTY_PAGES - 1) + ["failed"]
    error = ledger.api_job(job_id)["error"]
    assert (error["code"], error["retryable"]) == ("pagination_loop", True)
    assert stored_rows(ledger, job_id) == rows(0, 200)
    assert [delivery["type"] for delivery in ledger.deliveries_of(job_id)] == ["job.failed"]
    # And a retry starts with a new count
    assert ledger.run(ledger.core.retry(job_id, "api:test")) == "ok"
    assert claim_and_append(ledger, job_id, (), "again") == "more"
    assert claim_and_append(ledger, job_id, rows(200, 250)) == "succeeded"


def test_empty_pages_between_full_ones_are_not_a_loop(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger)
    for page in range(3):
        for number in range(MAX_EMPTY_PAGES - 1):
            assert claim_and_append(ledger, job_id, (), f"{page}-{number}") == "more"
        assert (
            claim_and_append(ledger, job_id, rows(page * 10, page * 10 + 10), f"{page}") == "more"
        )
    assert stored_rows(ledger, job_id) == rows(0, 30)


def test_a_loop_after_all_expected_rows_is_the_end(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1, expected=200)
    for number in range(MAX_EMPTY_PAGES - 1):
        assert claim_and_append(ledger, job_id, (), f"{number}", expected=200) == "more"
    assert claim_and_append(ledger, job_id, (), "still", expected=200) == "succeeded"


def test_an_export_expires_after_its_page(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, expires_ms=HOUR)
    claim = ledger.claim(job_id)
    ledger.store.hset(f"hg:job:{job_id}", "expires", 1)
    assert append_page(ledger, claim, rows(0, 200), "1") == "expired"
    assert stored_rows(ledger, job_id) == rows(0, 200)


def test_a_failed_exports_rows_stay_and_a_retry_continues_after_them(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger, 2)
    claim = ledger.claim(job_id)
    failure = Failure("private_account", "The account is private.")
    assert ledger.run(ledger.claims.finish(claim, Status.FAILED, failure=failure)) == "ok"
    assert stored_rows(ledger, job_id) == rows(0, 400)
    assert ledger.api_job(job_id)["progress"]["eta"] is None

    assert ledger.run(ledger.core.retry(job_id, "api:test")) == "ok"

    claim = ledger.claim(job_id)
    assert (claim.job.pk, claim.job.cursor, claim.job.users, claim.job.run) == (PK, "2", 400, 2)
    assert new_rows(ledger, job_id, rows(350, 450)) == rows(400, 450)
    assert append_page(ledger, claim, rows(400, 450)) == "succeeded"
    assert stored_rows(ledger, job_id) == rows(0, 450)
    assert [delivery["type"] for delivery in ledger.deliveries_of(job_id)][-1] == "job.succeeded"
    assert audit(ledger) == []


def test_an_export_that_failed_before_its_first_page_starts_over(ledger: LedgerHarness) -> None:
    job_id = add_export(ledger)
    ledger.finish(ledger.claim(job_id), Status.FAILED)
    assert ledger.run(ledger.core.retry(job_id, "api:test")) == "ok"
    assert claim_and_append(ledger, job_id, (), "0") == "more"


# -- cancel


def test_a_waiting_export_is_canceled_at_once(ledger: LedgerHarness) -> None:
    holder = ledger.claim(ledger.add_job())
    job_id = add_export(ledger)
    assert ledger.status(job_id) is Status.WAITING
    assert ledger.run(ledger.core.cancel(job_id, "api:test")) == "ok"
    assert ledger.status(job_id) is Status.CANCELED
    assert ledger.finish(holder)
    assert (ledger.turn(), audit(ledger)) == (None, [])


def test_a_running_export_is_canceled_after_its_page(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    claim = ledger.claim(job_id)
    assert ledger.run(ledger.core.cancel(job_id, "api:test")) == "asked"
    assert append_page(ledger, claim, rows(200, 400), "2") == "canceled"
    assert ledger.status(job_id) is Status.CANCELED
    assert stored_rows(ledger, job_id) == rows(0, 400)
    assert (ledger.turn(), ledger.try_claim(job_id)) == (None, None)
    assert [delivery["type"] for delivery in ledger.deliveries_of(job_id)] == ["job.canceled"]


def test_a_cancel_request_during_the_last_page_comes_too_late(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    claim = ledger.claim(job_id)
    assert ledger.run(ledger.core.cancel(job_id, "api:test")) == "asked"
    assert append_page(ledger, claim, rows(200, 300)) == "succeeded"


def test_a_cancel_request_takes_effect_when_the_worker_dies(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    ledger.claim(job_id)
    assert ledger.run(ledger.core.cancel(job_id, "api:test")) == "asked"
    ledger.pass_time(TIMES.lease + SECOND)
    ledger.heartbeat()
    assert ledger.status(job_id) is Status.CANCELED


# -- pauses and cooldowns


def test_an_export_of_a_paused_account_is_held_after_its_page_and_resumes(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger, 1)
    claim = ledger.claim(job_id)
    ledger.run(ledger.controls.pause("shop"))
    assert append_page(ledger, claim, rows(200, 400), "2") == "more"
    assert ledger.status(job_id) is Status.HELD
    assert ledger.api_job(job_id)["progress"]["eta"] is None
    assert audit(ledger) == []

    ledger.run(ledger.controls.resume("shop"))

    assert claim_and_append(ledger, job_id, rows(400, 500)) == "succeeded"
    assert stored_rows(ledger, job_id) == rows(0, 500)


@pytest.mark.parametrize("kind", ["followers", "following"])
def test_pausing_lookups_holds_exports(ledger: LedgerHarness, kind: str) -> None:
    ledger.run(ledger.controls.pause("shop", kind="lookup"))
    job_id = add_export(ledger, kind=kind)
    assert ledger.status(job_id) is Status.HELD
    assert audit(ledger) == []


def test_an_export_continues_after_its_last_page_when_a_cooldown_ends(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger, 1)
    cooldown = AccountEffect(cooldown="please_wait", cooldown_ms=HOUR, escalation="double")
    claim = ledger.claim(job_id)
    assert ledger.release(claim, Status.WAITING, charge="free", effect=cooldown) == "ok"
    wait = ledger.api_job(job_id)["wait"]
    assert (ledger.status(job_id), wait["reason"]) == (Status.WAITING, "please_wait")
    assert audit(ledger) == []

    ledger.pass_time(HOUR + SECOND)
    ledger.heartbeat()

    claim = ledger.claim(job_id)
    assert (claim.job.cursor, claim.job.users) == ("1", 200)
    assert append_page(ledger, claim, rows(200, 250)) == "succeeded"
    assert stored_rows(ledger, job_id) == rows(0, 250)


def test_the_timeline_shows_cooldowns_and_deaths_but_not_every_page(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger, 100)
    assert ledger.statuses(job_id) == ["queued", "running"]
    cooldown = AccountEffect(cooldown="please_wait", cooldown_ms=HOUR)
    ledger.release(ledger.claim(job_id), Status.WAITING, charge="free", effect=cooldown)
    ledger.pass_time(HOUR + SECOND)
    ledger.heartbeat()
    for number in range(100, 200):
        claim_and_append(ledger, job_id, rows(number * PAGE, (number + 1) * PAGE), f"{number}")
    resumed = ["queued", "running"]
    assert ledger.statuses(job_id) == [*resumed, "waiting", *resumed]
    assert claim_and_append(ledger, job_id, [row(10**6)]) == "succeeded"
    assert ledger.statuses(job_id)[-1] == "succeeded"
    assert illegal_steps(ledger, job_id) == []


# -- the store


def test_a_page_that_does_not_fit_into_the_store_changes_nothing_and_is_read_later(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger, 1)
    claim = ledger.claim(job_id)
    with out_of_memory(ledger.store):
        with pytest.raises(OutOfMemoryError):
            append_page(ledger, claim, rows(200, 400), "2")
        assert ledger.record(job_id).users == 200
        # When the job is released meanwhile
        assert ledger.release(claim, Status.WAITING, after_ms=60 * SECOND, charge="free") == "ok"
        assert ledger.turn() is None
    # Then the page is read again once there is memory
    ledger.pass_time(61 * SECOND)
    ledger.heartbeat()
    assert claim_and_append(ledger, job_id, rows(200, 400), "2") == "more"
    assert stored_rows(ledger, job_id) == rows(0, 400)


@pytest.mark.parametrize("lost", ["rows", "walked"])
def test_an_export_whose_rows_were_lost_fails(ledger: LedgerHarness, lost: str) -> None:
    job_id = started_export(ledger, 1)
    claim = ledger.claim(job_id)
    ledger.store.delete(f"hg:{lost}:{job_id}")
    assert append_page(ledger, claim, rows(0, 200), "2") == "failed"
    assert ledger.api_job(job_id)["error"]["code"] == "result_lost"
    assert ledger.run(ledger.core.retry(job_id, "api:test")) == "gone"


def test_rows_outlive_the_export_and_pks_only_until_no_retry_is_possible(
    ledger: LedgerHarness,
) -> None:
    done, failed, canceled = (started_export(ledger, 1, account=name) for name in ("a", "b", "c"))
    assert claim_and_append(ledger, done, rows(200, 210)) == "succeeded"
    ledger.finish(ledger.claim(failed), Status.FAILED)
    assert ledger.run(ledger.core.cancel(canceled, "api:test")) == "ok"
    assert _keys(ledger, "rows") == {done, failed, canceled}
    assert _keys(ledger, "walked") == {failed}

    ledger.pass_time(TIMES.keep_bodies + SECOND)

    assert _keys(ledger, "rows") | _keys(ledger, "walked") == set()
    assert ledger.run(ledger.core.retry(failed, "api:test")) == "gone"
    assert audit(ledger) == []


def test_a_retry_keeps_the_rows_while_it_runs(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    ledger.finish(ledger.claim(job_id), Status.FAILED)
    ledger.pass_time(TIMES.keep_bodies - HOUR)
    assert ledger.run(ledger.core.retry(job_id, "api:test")) == "ok"
    ledger.pass_time(TIMES.keep_bodies)
    assert stored_rows(ledger, job_id) == rows(0, 200)
    assert audit(ledger) == []


def test_pruning_an_export_deletes_its_rows(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    assert claim_and_append(ledger, job_id, rows(200, 210)) == "succeeded"
    # Given rows without an expiry
    ledger.store.persist(f"hg:rows:{job_id}")
    ledger.pass_time(TIMES.keep + SECOND)
    ledger.run(ledger.core.prune())
    assert list(ledger.store.scan_iter(f"hg:*{job_id}*")) == []


def _keys(ledger: LedgerHarness, name: str) -> set[str]:
    return {key.decode().rpartition(":")[2] for key in ledger.store.scan_iter(f"hg:{name}:*")}
