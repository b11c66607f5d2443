"""Walks in the ledger: a page a claim, each taken in once, whatever dies or comes twice."""

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

MOST_BARREN = 10


def test_a_walk_finds_whose_it_is_and_then_reads_a_page_a_claim(ledger: LedgerHarness) -> None:
    job_id = add_export(ledger)
    assert ledger.take_messages() == [job_id]
    # When it has found the user, and read two pages
    assert claim_and_append(ledger, job_id, (), "first", expected=250) == "more"
    assert ledger.take_messages() == [job_id]
    assert claim_and_append(ledger, job_id, rows(0, 200), "second", expected=250) == "more"
    between = ledger.record(job_id)
    assert (between.pk, between.cursor, between.pages, between.users) == (PK, "second", 1, 200)
    assert ledger.take_messages() == [job_id]
    assert claim_and_append(ledger, job_id, rows(200, 250), expected=250) == "succeeded"
    # Then it has ended, with one callback, and every row is there in order
    assert stored_rows(ledger, job_id) == rows(0, 250)
    shown = ledger.api_job(job_id)
    assert shown["result"] == {"users": 250, "pages": 2, "result_url": f"/jobs/{job_id}/result"}
    assert shown["progress"] | {"eta": None} == shown["progress"]
    assert [owed["type"] for owed in ledger.deliveries_of(job_id)] == ["job.succeeded"]
    assert (ledger.turn(), audit(ledger), illegal_steps(ledger, job_id)) == (None, [], [])


def test_one_read_is_charged_with_each_claim_and_more_when_more_were_made(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger, 2)
    assert len(spent_ms(ledger, "lookup")) == 3
    claim_and_append(ledger, job_id, rows(400, 500), "3", reads=2)
    assert len(spent_ms(ledger, "lookup")) == 6


def test_others_go_between_two_pages_of_a_walk(ledger: LedgerHarness) -> None:
    job_id = add_export(ledger)
    claim = ledger.claim(job_id)
    dm = ledger.add_job()
    ledger.take_messages()

    assert append_page(ledger, claim, (), "0") == "more"

    assert (ledger.turn(), ledger.status(job_id)) == (dm, Status.WAITING)
    ledger.finish(ledger.claim_and_send(dm))
    assert ledger.turn() == job_id
    assert audit(ledger) == []


# -- once


def test_a_page_that_is_given_again_is_taken_in_once_and_told_the_same(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger)
    claim = ledger.claim(job_id)
    page = rows(0, 200)
    assert append_page(ledger, claim, page, "1") == "more"
    before = ledger.record(job_id)
    counted = ledger.store.hgetall("hg:counters")
    # When its reply was lost, and it is given again
    assert append_page(ledger, claim, page, "1") == "more"
    # Then nothing has changed
    assert (ledger.record(job_id), ledger.store.hgetall("hg:counters")) == (before, counted)
    assert stored_rows(ledger, job_id) == page
    # And the next claim goes on behind it
    assert claim_and_append(ledger, job_id, rows(200, 300), "2") == "more"
    assert stored_rows(ledger, job_id) == rows(0, 300)


def test_the_last_page_given_again_is_told_the_same_and_called_back_once(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger)
    claim = ledger.claim(job_id)
    assert append_page(ledger, claim, rows(0, 50)) == "succeeded"
    assert append_page(ledger, claim, rows(0, 50)) == "succeeded"
    assert len(ledger.deliveries_of(job_id)) == 1
    assert stored_rows(ledger, job_id) == rows(0, 50)


def test_a_worker_that_stood_still_adds_nothing_once_another_has_gone_on(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger)
    frozen = ledger.claim(job_id, "frozen")
    new = new_rows(ledger, job_id, rows(0, 200))
    # Given that its lease is over, and another has read the same page and the next
    ledger.pass_time(TIMES.lease + SECOND)
    ledger.heartbeat()
    assert claim_and_append(ledger, job_id, rows(0, 200), "1", owner="other") == "more"
    assert claim_and_append(ledger, job_id, rows(200, 400), "2", owner="other") == "more"
    before = ledger.record(job_id)
    # When it wakes up with what was new to it
    assert append_page(ledger, frozen, new, "1") == "lost"
    # Then it changes nothing, and nothing while the other reads on
    assert ledger.record(job_id) == before
    other = ledger.claim(job_id, "other")
    assert append_page(ledger, frozen, new, "1") == "lost"
    assert append_page(ledger, replace(frozen, fence=other.fence), new, "1") == "lost"
    assert append_page(ledger, replace(frozen, owner="other"), new, "1") == "lost"
    assert stored_rows(ledger, job_id) == rows(0, 400)
    assert append_page(ledger, other, rows(400, 410)) == "succeeded"
    assert stored_rows(ledger, job_id) == rows(0, 410)
    assert audit(ledger) == []


def test_a_worker_whose_lease_is_over_adds_nothing_although_nobody_has_gone_on(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger)
    claim = ledger.claim(job_id)
    ledger.pass_time(TIMES.lease + SECOND)
    assert append_page(ledger, claim, rows(0, 200), "1") == "lost"
    assert ledger.record(job_id).users == 0


def test_a_worker_that_dies_at_a_page_costs_that_page_only(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    ledger.claim(job_id, "dying")
    ledger.pass_time(TIMES.lease + SECOND)
    ledger.heartbeat()
    claim = ledger.claim(job_id, "heir")
    assert (claim.job.cursor, claim.job.users, claim.job.attempts) == ("1", 200, 2)
    assert append_page(ledger, claim, rows(200, 400), "2") == "more"
    assert stored_rows(ledger, job_id) == rows(0, 400)
    assert audit(ledger) == []


def test_of_pages_that_overlap_only_what_is_new_is_kept_in_order(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    # Given a page that repeats the end of the one before, and one of its own
    page = [*rows(150, 210), row(205), *rows(199, 260)]
    new = new_rows(ledger, job_id, page)
    assert new == rows(200, 260)
    assert claim_and_append(ledger, job_id, new) == "succeeded"
    assert stored_rows(ledger, job_id) == rows(0, 260)


def test_the_first_row_of_a_user_who_comes_twice_on_a_page_is_the_one_that_counts(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger)
    page = [row(1), row(2), row(1, full_name="Another"), row(3), row(2)]
    assert new_rows(ledger, job_id, page) == [row(1), row(2), row(3)]


def test_a_page_of_twenty_thousand_users_is_taken_in_whole(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger)
    page = rows(0, 20_000)
    assert new_rows(ledger, job_id, page) == page
    assert claim_and_append(ledger, job_id, page, "1", expected=20_000) == "more"
    assert new_rows(ledger, job_id, rows(19_999, 20_001)) == [row(20_000)]
    assert stored_rows(ledger, job_id, 19_990) == rows(19_990, 20_000)
    assert stored_rows(ledger, job_id, 399, 402) == rows(399, 402)


# -- how it ends


def test_fifty_workers_that_die_at_one_page_end_the_walk_and_its_rows_stay(
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


def test_a_page_that_comes_makes_earlier_deaths_and_errors_good(ledger: LedgerHarness) -> None:
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


def test_a_walk_that_goes_round_in_circles_ends_with_an_error_and_its_rows_stay(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger, 1)
    replies = [
        claim_and_append(ledger, job_id, (), f"{number % 3}") for number in range(MOST_BARREN)
    ]
    assert replies == ["more"] * (MOST_BARREN - 1) + ["failed"]
    error = ledger.api_job(job_id)["error"]
    assert (error["code"], error["retryable"]) == ("walk_stuck", True)
    assert stored_rows(ledger, job_id) == rows(0, 200)
    assert [owed["type"] for owed in ledger.deliveries_of(job_id)] == ["job.failed"]
    # And a retry has as many tries again
    assert ledger.run(ledger.core.retry(job_id, "api:test")) == "ok"
    assert claim_and_append(ledger, job_id, (), "again") == "more"
    assert claim_and_append(ledger, job_id, rows(200, 250)) == "succeeded"


def test_empty_pages_between_full_ones_are_no_circle(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger)
    for page in range(3):
        for number in range(MOST_BARREN - 1):
            assert claim_and_append(ledger, job_id, (), f"{page}-{number}") == "more"
        assert (
            claim_and_append(ledger, job_id, rows(page * 10, page * 10 + 10), f"{page}") == "more"
        )
    assert stored_rows(ledger, job_id) == rows(0, 30)


def test_a_circle_after_all_that_were_expected_is_the_end(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1, expected=200)
    for number in range(MOST_BARREN - 1):
        assert claim_and_append(ledger, job_id, (), f"{number}", expected=200) == "more"
    assert claim_and_append(ledger, job_id, (), "still", expected=200) == "succeeded"


def test_a_walk_past_its_time_expires_behind_its_page(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, expires_ms=HOUR)
    claim = ledger.claim(job_id)
    ledger.store.hset(f"hg:job:{job_id}", "expires", 1)
    assert append_page(ledger, claim, rows(0, 200), "1") == "expired"
    assert stored_rows(ledger, job_id) == rows(0, 200)


def test_the_rows_of_a_walk_that_fails_stay_and_a_retry_goes_on_behind_them(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger, 2)
    claim = ledger.claim(job_id)
    gone = Failure("private_account", "The account is private.")
    assert ledger.run(ledger.claims.finish(claim, Status.FAILED, failure=gone)) == "ok"
    assert stored_rows(ledger, job_id) == rows(0, 400)
    assert ledger.api_job(job_id)["progress"]["eta"] is None

    assert ledger.run(ledger.core.retry(job_id, "api:test")) == "ok"

    heir = ledger.claim(job_id)
    assert (heir.job.pk, heir.job.cursor, heir.job.users, heir.job.run) == (PK, "2", 400, 2)
    assert new_rows(ledger, job_id, rows(350, 450)) == rows(400, 450)
    assert append_page(ledger, heir, rows(400, 450)) == "succeeded"
    assert stored_rows(ledger, job_id) == rows(0, 450)
    assert [owed["type"] for owed in ledger.deliveries_of(job_id)][-1] == "job.succeeded"
    assert audit(ledger) == []


def test_a_walk_that_failed_before_its_first_page_begins_anew(ledger: LedgerHarness) -> None:
    job_id = add_export(ledger)
    ledger.finish(ledger.claim(job_id), Status.FAILED)
    assert ledger.run(ledger.core.retry(job_id, "api:test")) == "ok"
    assert claim_and_append(ledger, job_id, (), "0") == "more"


# -- cancel


def test_a_walk_that_waits_is_canceled_at_once(ledger: LedgerHarness) -> None:
    holder = ledger.claim(ledger.add_job())
    job_id = add_export(ledger)
    assert ledger.status(job_id) is Status.WAITING
    assert ledger.run(ledger.core.cancel(job_id, "api:test")) == "ok"
    assert ledger.status(job_id) is Status.CANCELED
    assert ledger.finish(holder)
    assert (ledger.turn(), audit(ledger)) == (None, [])


def test_a_walk_that_reads_is_canceled_behind_that_page(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    claim = ledger.claim(job_id)
    assert ledger.run(ledger.core.cancel(job_id, "api:test")) == "asked"
    assert append_page(ledger, claim, rows(200, 400), "2") == "canceled"
    assert ledger.status(job_id) is Status.CANCELED
    assert stored_rows(ledger, job_id) == rows(0, 400)
    assert (ledger.turn(), ledger.try_claim(job_id)) == (None, None)
    assert [owed["type"] for owed in ledger.deliveries_of(job_id)] == ["job.canceled"]


def test_a_cancel_during_the_last_page_comes_too_late(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    claim = ledger.claim(job_id)
    assert ledger.run(ledger.core.cancel(job_id, "api:test")) == "asked"
    assert append_page(ledger, claim, rows(200, 300)) == "succeeded"


def test_a_cancel_is_heard_when_the_worker_that_reads_dies(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    ledger.claim(job_id)
    assert ledger.run(ledger.core.cancel(job_id, "api:test")) == "asked"
    ledger.pass_time(TIMES.lease + SECOND)
    ledger.heartbeat()
    assert ledger.status(job_id) is Status.CANCELED


# -- what stands in its way


def test_a_walk_of_a_paused_account_is_held_behind_its_page_and_goes_on(
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
def test_a_pause_of_looking_up_holds_walks(ledger: LedgerHarness, kind: str) -> None:
    ledger.run(ledger.controls.pause("shop", kind="lookup"))
    job_id = add_export(ledger, kind=kind)
    assert ledger.status(job_id) is Status.HELD
    assert audit(ledger) == []


def test_a_walk_goes_on_behind_its_last_page_after_a_rest(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    rest = AccountEffect(cooldown="please_wait", cooldown_ms=HOUR, escalation="double")
    claim = ledger.claim(job_id)
    assert ledger.release(claim, Status.WAITING, charge="free", effect=rest) == "ok"
    wait = ledger.api_job(job_id)["wait"]
    assert (ledger.status(job_id), wait["reason"]) == (Status.WAITING, "please_wait")
    assert audit(ledger) == []

    ledger.pass_time(HOUR + SECOND)
    ledger.heartbeat()

    heir = ledger.claim(job_id)
    assert (heir.job.cursor, heir.job.users) == ("1", 200)
    assert append_page(ledger, heir, rows(200, 250)) == "succeeded"
    assert stored_rows(ledger, job_id) == rows(0, 250)


def test_the_timeline_tells_of_rests_and_deaths_but_not_of_every_page(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger, 100)
    assert ledger.statuses(job_id) == ["queued", "running"]
    rest = AccountEffect(cooldown="please_wait", cooldown_ms=HOUR)
    ledger.release(ledger.claim(job_id), Status.WAITING, charge="free", effect=rest)
    ledger.pass_time(HOUR + SECOND)
    ledger.heartbeat()
    for number in range(100, 200):
        claim_and_append(ledger, job_id, rows(number * PAGE, (number + 1) * PAGE), f"{number}")
    again = ["queued", "running"]
    assert ledger.statuses(job_id) == [*again, "waiting", *again]
    assert claim_and_append(ledger, job_id, [row(10**6)]) == "succeeded"
    assert ledger.statuses(job_id)[-1] == "succeeded"
    assert illegal_steps(ledger, job_id) == []


# -- the store


def test_a_page_that_the_store_has_no_room_for_changes_nothing_and_is_read_later(
    ledger: LedgerHarness,
) -> None:
    job_id = started_export(ledger, 1)
    claim = ledger.claim(job_id)
    with out_of_memory(ledger.store):
        with pytest.raises(OutOfMemoryError):
            append_page(ledger, claim, rows(200, 400), "2")
        assert ledger.record(job_id).users == 200
        # When the account's turn is given back meanwhile
        assert ledger.release(claim, Status.WAITING, after_ms=60 * SECOND, charge="free") == "ok"
        assert ledger.turn() is None
    # Then the page is read again once there is room
    ledger.pass_time(61 * SECOND)
    ledger.heartbeat()
    assert claim_and_append(ledger, job_id, rows(200, 400), "2") == "more"
    assert stored_rows(ledger, job_id) == rows(0, 400)


@pytest.mark.parametrize("lost", ["rows", "walked"])
def test_a_walk_whose_findings_the_store_has_lost_ends_with_an_error(
    ledger: LedgerHarness, lost: str
) -> None:
    job_id = started_export(ledger, 1)
    claim = ledger.claim(job_id)
    ledger.store.delete(f"hg:{lost}:{job_id}")
    assert append_page(ledger, claim, rows(0, 200), "2") == "failed"
    assert ledger.api_job(job_id)["error"]["code"] == "result_lost"
    assert ledger.run(ledger.core.retry(job_id, "api:test")) == "gone"


def test_rows_are_kept_for_a_while_after_the_end_and_pks_only_for_a_retry(
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


def test_a_retry_keeps_the_rows_for_as_long_as_it_lasts(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    ledger.finish(ledger.claim(job_id), Status.FAILED)
    ledger.pass_time(TIMES.keep_bodies - HOUR)
    assert ledger.run(ledger.core.retry(job_id, "api:test")) == "ok"
    ledger.pass_time(TIMES.keep_bodies)
    assert stored_rows(ledger, job_id) == rows(0, 200)
    assert audit(ledger) == []


def test_what_is_forgotten_leaves_no_row_behind(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 1)
    assert claim_and_append(ledger, job_id, rows(200, 210)) == "succeeded"
    # Given rows that, for once, are kept for ever
    ledger.store.persist(f"hg:rows:{job_id}")
    ledger.pass_time(TIMES.keep + SECOND)
    ledger.run(ledger.core.prune())
    assert list(ledger.store.scan_iter(f"hg:*{job_id}*")) == []


def _keys(ledger: LedgerHarness, name: str) -> set[str]:
    return {key.decode().rpartition(":")[2] for key in ledger.store.scan_iter(f"hg:{name}:*")}
