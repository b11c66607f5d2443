"""Walks in the ledger: a page a claim, each taken in once, whatever dies or comes twice."""

from __future__ import annotations

from dataclasses import replace

import pytest
from redis.exceptions import OutOfMemoryError

from service.jobs.claims import AccountEffect
from service.jobs.model import Failure, Status
from tests.support.followers import PAGE, PK, begun, give, row, rows, step, unseen, walk, walked
from tests.support.invariants import audit, illegal_steps
from tests.support.ledgers import HOUR, SECOND, TIMES, Books
from tests.support.pacing import spent
from tests.support.store import short_memory

MOST_BARREN = 10


def test_a_walk_finds_whose_it_is_and_then_reads_a_page_a_claim(books: Books) -> None:
    job_id = walk(books)
    assert books.wakeups() == [job_id]
    # When it has found the user, and read two pages
    assert step(books, job_id, (), "first", expected=250) == "more"
    assert books.wakeups() == [job_id]
    assert step(books, job_id, rows(0, 200), "second", expected=250) == "more"
    between = books.record(job_id)
    assert (between.pk, between.cursor, between.pages, between.users) == (PK, "second", 1, 200)
    assert books.wakeups() == [job_id]
    assert step(books, job_id, rows(200, 250), expected=250) == "succeeded"
    # Then it has ended, with one callback, and every row is there in order
    assert walked(books, job_id) == rows(0, 250)
    shown = books.shown(job_id)
    assert shown["result"] == {"users": 250, "pages": 2, "result_url": f"/jobs/{job_id}/result"}
    assert shown["progress"] | {"eta": None} == shown["progress"]
    assert [owed["type"] for owed in books.owed(job_id)] == ["job.succeeded"]
    assert (books.turn(), audit(books), illegal_steps(books, job_id)) == (None, [], [])


def test_one_read_is_charged_with_each_claim_and_more_when_more_were_made(books: Books) -> None:
    job_id = begun(books, 2)
    assert len(spent(books, "lookup")) == 3
    step(books, job_id, rows(400, 500), "3", reads=2)
    assert len(spent(books, "lookup")) == 6


def test_others_go_between_two_pages_of_a_walk(books: Books) -> None:
    job_id = walk(books)
    claim = books.claim(job_id)
    dm = books.job()
    books.wakeups()

    assert give(books, claim, (), "0") == "more"

    assert (books.turn(), books.status(job_id)) == (dm, Status.WAITING)
    books.finish(books.sending(dm))
    assert books.turn() == job_id
    assert audit(books) == []


# -- once


def test_a_page_that_is_given_again_is_taken_in_once_and_told_the_same(books: Books) -> None:
    job_id = begun(books)
    claim = books.claim(job_id)
    page = rows(0, 200)
    assert give(books, claim, page, "1") == "more"
    before = books.record(job_id)
    counted = books.store.hgetall("hg:counters")
    # When its reply was lost, and it is given again
    assert give(books, claim, page, "1") == "more"
    # Then nothing has changed
    assert (books.record(job_id), books.store.hgetall("hg:counters")) == (before, counted)
    assert walked(books, job_id) == page
    # And the next claim goes on behind it
    assert step(books, job_id, rows(200, 300), "2") == "more"
    assert walked(books, job_id) == rows(0, 300)


def test_the_last_page_given_again_is_told_the_same_and_called_back_once(books: Books) -> None:
    job_id = begun(books)
    claim = books.claim(job_id)
    assert give(books, claim, rows(0, 50)) == "succeeded"
    assert give(books, claim, rows(0, 50)) == "succeeded"
    assert len(books.owed(job_id)) == 1
    assert walked(books, job_id) == rows(0, 50)


def test_a_worker_that_stood_still_adds_nothing_once_another_has_gone_on(books: Books) -> None:
    job_id = begun(books)
    frozen = books.claim(job_id, "frozen")
    new = unseen(books, job_id, rows(0, 200))
    # Given that its lease is over, and another has read the same page and the next
    books.pass_time(TIMES.lease + SECOND)
    books.tick()
    assert step(books, job_id, rows(0, 200), "1", owner="other") == "more"
    assert step(books, job_id, rows(200, 400), "2", owner="other") == "more"
    before = books.record(job_id)
    # When it wakes up with what was new to it
    assert give(books, frozen, new, "1") == "lost"
    # Then it changes nothing, and nothing while the other reads on
    assert books.record(job_id) == before
    other = books.claim(job_id, "other")
    assert give(books, frozen, new, "1") == "lost"
    assert give(books, replace(frozen, fence=other.fence), new, "1") == "lost"
    assert give(books, replace(frozen, owner="other"), new, "1") == "lost"
    assert walked(books, job_id) == rows(0, 400)
    assert give(books, other, rows(400, 410)) == "succeeded"
    assert walked(books, job_id) == rows(0, 410)
    assert audit(books) == []


def test_a_worker_whose_lease_is_over_adds_nothing_although_nobody_has_gone_on(
    books: Books,
) -> None:
    job_id = begun(books)
    claim = books.claim(job_id)
    books.pass_time(TIMES.lease + SECOND)
    assert give(books, claim, rows(0, 200), "1") == "lost"
    assert books.record(job_id).users == 0


def test_a_worker_that_dies_at_a_page_costs_that_page_only(books: Books) -> None:
    job_id = begun(books, 1)
    books.claim(job_id, "dying")
    books.pass_time(TIMES.lease + SECOND)
    books.tick()
    claim = books.claim(job_id, "heir")
    assert (claim.job.cursor, claim.job.users, claim.job.attempts) == ("1", 200, 2)
    assert give(books, claim, rows(200, 400), "2") == "more"
    assert walked(books, job_id) == rows(0, 400)
    assert audit(books) == []


def test_of_pages_that_overlap_only_what_is_new_is_kept_in_order(books: Books) -> None:
    job_id = begun(books, 1)
    # Given a page that repeats the end of the one before, and one of its own
    page = [*rows(150, 210), row(205), *rows(199, 260)]
    new = unseen(books, job_id, page)
    assert new == rows(200, 260)
    assert step(books, job_id, new) == "succeeded"
    assert walked(books, job_id) == rows(0, 260)


def test_the_first_row_of_a_user_who_comes_twice_on_a_page_is_the_one_that_counts(
    books: Books,
) -> None:
    job_id = begun(books)
    page = [row(1), row(2), row(1, full_name="Another"), row(3), row(2)]
    assert unseen(books, job_id, page) == [row(1), row(2), row(3)]


def test_a_page_of_twenty_thousand_users_is_taken_in_whole(books: Books) -> None:
    job_id = begun(books)
    page = rows(0, 20_000)
    assert unseen(books, job_id, page) == page
    assert step(books, job_id, page, "1", expected=20_000) == "more"
    assert unseen(books, job_id, rows(19_999, 20_001)) == [row(20_000)]
    assert walked(books, job_id, 19_990) == rows(19_990, 20_000)
    assert walked(books, job_id, 399, 402) == rows(399, 402)


# -- how it ends


def test_fifty_workers_that_die_at_one_page_end_the_walk_and_its_rows_stay(books: Books) -> None:
    job_id = begun(books, 1)
    for number in range(50):
        assert books.try_claim(job_id, f"dying-{number}") is not None
        books.pass_time(TIMES.lease + SECOND)
        books.tick()
    assert books.try_claim(job_id) is None
    shown = books.shown(job_id)
    assert (shown["status"], shown["error"]["code"]) == ("failed", "attempts_exhausted")
    assert walked(books, job_id) == rows(0, 200)


def test_a_page_that_comes_makes_earlier_deaths_and_errors_good(books: Books) -> None:
    job_id = begun(books)
    for number in range(45):
        books.claim(job_id, f"dying-{number}")
        books.pass_time(TIMES.lease + SECOND)
        books.tick()
    assert books.release(books.claim(job_id), Status.WAITING, after_ms=SECOND) == "ok"
    books.pass_time(2 * SECOND)
    books.tick()
    assert (books.record(job_id).attempts, books.record(job_id).failed_attempts) == (46, 1)

    assert step(books, job_id, rows(0, 200), "1") == "more"

    assert (books.record(job_id).attempts, books.record(job_id).failed_attempts) == (0, 0)


def test_a_walk_that_goes_round_in_circles_ends_with_an_error_and_its_rows_stay(
    books: Books,
) -> None:
    job_id = begun(books, 1)
    replies = [step(books, job_id, (), f"{number % 3}") for number in range(MOST_BARREN)]
    assert replies == ["more"] * (MOST_BARREN - 1) + ["failed"]
    error = books.shown(job_id)["error"]
    assert (error["code"], error["retryable"]) == ("walk_stuck", True)
    assert walked(books, job_id) == rows(0, 200)
    assert [owed["type"] for owed in books.owed(job_id)] == ["job.failed"]
    # And a retry has as many tries again
    assert books.run(books.ledger.retry(job_id, "api:test")) == "ok"
    assert step(books, job_id, (), "again") == "more"
    assert step(books, job_id, rows(200, 250)) == "succeeded"


def test_empty_pages_between_full_ones_are_no_circle(books: Books) -> None:
    job_id = begun(books)
    for page in range(3):
        for number in range(MOST_BARREN - 1):
            assert step(books, job_id, (), f"{page}-{number}") == "more"
        assert step(books, job_id, rows(page * 10, page * 10 + 10), f"{page}") == "more"
    assert walked(books, job_id) == rows(0, 30)


def test_a_circle_after_all_that_were_expected_is_the_end(books: Books) -> None:
    job_id = begun(books, 1, expected=200)
    for number in range(MOST_BARREN - 1):
        assert step(books, job_id, (), f"{number}", expected=200) == "more"
    assert step(books, job_id, (), "still", expected=200) == "succeeded"


def test_a_walk_past_its_time_expires_behind_its_page(books: Books) -> None:
    job_id = begun(books, expires_ms=HOUR)
    claim = books.claim(job_id)
    books.store.hset(f"hg:job:{job_id}", "expires", 1)
    assert give(books, claim, rows(0, 200), "1") == "expired"
    assert walked(books, job_id) == rows(0, 200)


def test_the_rows_of_a_walk_that_fails_stay_and_a_retry_goes_on_behind_them(books: Books) -> None:
    job_id = begun(books, 2)
    claim = books.claim(job_id)
    gone = Failure("private_account", "The account is private.")
    assert books.run(books.claims.finish(claim, Status.FAILED, failure=gone)) == "ok"
    assert walked(books, job_id) == rows(0, 400)
    assert books.shown(job_id)["progress"]["eta"] is None

    assert books.run(books.ledger.retry(job_id, "api:test")) == "ok"

    heir = books.claim(job_id)
    assert (heir.job.pk, heir.job.cursor, heir.job.users, heir.job.run) == (PK, "2", 400, 2)
    assert unseen(books, job_id, rows(350, 450)) == rows(400, 450)
    assert give(books, heir, rows(400, 450)) == "succeeded"
    assert walked(books, job_id) == rows(0, 450)
    assert [owed["type"] for owed in books.owed(job_id)][-1] == "job.succeeded"
    assert audit(books) == []


def test_a_walk_that_failed_before_its_first_page_begins_anew(books: Books) -> None:
    job_id = walk(books)
    books.finish(books.claim(job_id), Status.FAILED)
    assert books.run(books.ledger.retry(job_id, "api:test")) == "ok"
    assert step(books, job_id, (), "0") == "more"


# -- cancel


def test_a_walk_that_waits_is_canceled_at_once(books: Books) -> None:
    holder = books.claim(books.job())
    job_id = walk(books)
    assert books.status(job_id) is Status.WAITING
    assert books.run(books.ledger.cancel(job_id, "api:test")) == "ok"
    assert books.status(job_id) is Status.CANCELED
    assert books.finish(holder)
    assert (books.turn(), audit(books)) == (None, [])


def test_a_walk_that_reads_is_canceled_behind_that_page(books: Books) -> None:
    job_id = begun(books, 1)
    claim = books.claim(job_id)
    assert books.run(books.ledger.cancel(job_id, "api:test")) == "asked"
    assert give(books, claim, rows(200, 400), "2") == "canceled"
    assert books.status(job_id) is Status.CANCELED
    assert walked(books, job_id) == rows(0, 400)
    assert (books.turn(), books.try_claim(job_id)) == (None, None)
    assert [owed["type"] for owed in books.owed(job_id)] == ["job.canceled"]


def test_a_cancel_during_the_last_page_comes_too_late(books: Books) -> None:
    job_id = begun(books, 1)
    claim = books.claim(job_id)
    assert books.run(books.ledger.cancel(job_id, "api:test")) == "asked"
    assert give(books, claim, rows(200, 300)) == "succeeded"


def test_a_cancel_is_heard_when_the_worker_that_reads_dies(books: Books) -> None:
    job_id = begun(books, 1)
    books.claim(job_id)
    assert books.run(books.ledger.cancel(job_id, "api:test")) == "asked"
    books.pass_time(TIMES.lease + SECOND)
    books.tick()
    assert books.status(job_id) is Status.CANCELED


# -- what stands in its way


def test_a_walk_of_a_paused_account_is_held_behind_its_page_and_goes_on(books: Books) -> None:
    job_id = begun(books, 1)
    claim = books.claim(job_id)
    books.run(books.doors.pause("shop"))
    assert give(books, claim, rows(200, 400), "2") == "more"
    assert books.status(job_id) is Status.HELD
    assert books.shown(job_id)["progress"]["eta"] is None
    assert audit(books) == []

    books.run(books.doors.resume("shop"))

    assert step(books, job_id, rows(400, 500)) == "succeeded"
    assert walked(books, job_id) == rows(0, 500)


@pytest.mark.parametrize("kind", ["followers", "following"])
def test_a_pause_of_looking_up_holds_walks(books: Books, kind: str) -> None:
    books.run(books.doors.pause("shop", kind="lookup"))
    job_id = walk(books, kind=kind)
    assert books.status(job_id) is Status.HELD
    assert audit(books) == []


def test_a_walk_goes_on_behind_its_last_page_after_a_rest(books: Books) -> None:
    job_id = begun(books, 1)
    rest = AccountEffect(cooldown="please_wait", cooldown_ms=HOUR, escalation="double")
    claim = books.claim(job_id)
    assert books.release(claim, Status.WAITING, charge="free", effect=rest) == "ok"
    wait = books.shown(job_id)["wait"]
    assert (books.status(job_id), wait["reason"]) == (Status.WAITING, "please_wait")
    assert audit(books) == []

    books.pass_time(HOUR + SECOND)
    books.tick()

    heir = books.claim(job_id)
    assert (heir.job.cursor, heir.job.users) == ("1", 200)
    assert give(books, heir, rows(200, 250)) == "succeeded"
    assert walked(books, job_id) == rows(0, 250)


def test_the_timeline_tells_of_rests_and_deaths_but_not_of_every_page(books: Books) -> None:
    job_id = begun(books, 100)
    assert books.path(job_id) == ["queued", "running"]
    rest = AccountEffect(cooldown="please_wait", cooldown_ms=HOUR)
    books.release(books.claim(job_id), Status.WAITING, charge="free", effect=rest)
    books.pass_time(HOUR + SECOND)
    books.tick()
    for number in range(100, 200):
        step(books, job_id, rows(number * PAGE, (number + 1) * PAGE), f"{number}")
    again = ["queued", "running"]
    assert books.path(job_id) == [*again, "waiting", *again]
    assert step(books, job_id, [row(10**6)]) == "succeeded"
    assert books.path(job_id)[-1] == "succeeded"
    assert illegal_steps(books, job_id) == []


# -- the store


def test_a_page_that_the_store_has_no_room_for_changes_nothing_and_is_read_later(
    books: Books,
) -> None:
    job_id = begun(books, 1)
    claim = books.claim(job_id)
    with short_memory(books.store):
        with pytest.raises(OutOfMemoryError):
            give(books, claim, rows(200, 400), "2")
        assert books.record(job_id).users == 200
        # When the account's turn is given back meanwhile
        assert books.release(claim, Status.WAITING, after_ms=60 * SECOND, charge="free") == "ok"
        assert books.turn() is None
    # Then the page is read again once there is room
    books.pass_time(61 * SECOND)
    books.tick()
    assert step(books, job_id, rows(200, 400), "2") == "more"
    assert walked(books, job_id) == rows(0, 400)


@pytest.mark.parametrize("lost", ["rows", "walked"])
def test_a_walk_whose_findings_the_store_has_lost_ends_with_an_error(
    books: Books, lost: str
) -> None:
    job_id = begun(books, 1)
    claim = books.claim(job_id)
    books.store.delete(f"hg:{lost}:{job_id}")
    assert give(books, claim, rows(0, 200), "2") == "failed"
    assert books.shown(job_id)["error"]["code"] == "result_lost"
    assert books.run(books.ledger.retry(job_id, "api:test")) == "gone"


def test_rows_are_kept_for_a_while_after_the_end_and_pks_only_for_a_retry(books: Books) -> None:
    done, failed, canceled = (begun(books, 1, account=name) for name in ("a", "b", "c"))
    assert step(books, done, rows(200, 210)) == "succeeded"
    books.finish(books.claim(failed), Status.FAILED)
    assert books.run(books.ledger.cancel(canceled, "api:test")) == "ok"
    assert _keys(books, "rows") == {done, failed, canceled}
    assert _keys(books, "walked") == {failed}

    books.pass_time(TIMES.keep_bodies + SECOND)

    assert _keys(books, "rows") | _keys(books, "walked") == set()
    assert books.run(books.ledger.retry(failed, "api:test")) == "gone"
    assert audit(books) == []


def test_a_retry_keeps_the_rows_for_as_long_as_it_lasts(books: Books) -> None:
    job_id = begun(books, 1)
    books.finish(books.claim(job_id), Status.FAILED)
    books.pass_time(TIMES.keep_bodies - HOUR)
    assert books.run(books.ledger.retry(job_id, "api:test")) == "ok"
    books.pass_time(TIMES.keep_bodies)
    assert walked(books, job_id) == rows(0, 200)
    assert audit(books) == []


def test_what_is_forgotten_leaves_no_row_behind(books: Books) -> None:
    job_id = begun(books, 1)
    assert step(books, job_id, rows(200, 210)) == "succeeded"
    # Given rows that, for once, are kept for ever
    books.store.persist(f"hg:rows:{job_id}")
    books.pass_time(TIMES.keep + SECOND)
    books.run(books.ledger.prune())
    assert list(books.store.scan_iter(f"hg:*{job_id}*")) == []


def _keys(books: Books, name: str) -> set[str]:
    return {key.decode().rpartition(":")[2] for key in books.store.scan_iter(f"hg:{name}:*")}
