"""Budgets: gaps between an account's writes, and how many go in an hour and in a day."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from service.config.pacing import Pace, PaceKind
from service.jobs.claims import Claim
from service.jobs.lua.limits import AccountLimits
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.ledgers import DAY, HOUR, SECOND, TIMES, Books
from tests.support.pacing import (
    SLACK,
    Opener,
    alarm,
    gap_ends,
    ledgers,
    now_ms,
    pace,
    pass_until,
    spent,
    terms,
    wait_of,
    woken,
    write,
)

MINUTE = 60 * SECOND
GAP = (100, 300)


@pytest.fixture
def opened(store: redis.Redis, store_url: str) -> Iterator[Opener]:
    assert store.dbsize() == 0
    with ledgers(store_url) as opened:
        yield opened


def outlast(books: Books, claim: Claim, ms: int) -> None:
    """Let a write take its time, its lease renewed by beats."""
    for _ in range(ms // (TIMES.lease // 2)):
        books.pass_time(TIMES.lease // 2)
        assert books.tick(claim)[0] == []


# -- gaps


def test_a_gap_runs_from_the_end_of_a_write_to_the_start_of_the_next(opened: Opener) -> None:
    # Given a write that takes as long as a gap
    books = opened(shop=terms(dm=pace(GAP)))
    first, second = books.job(), books.job()
    claim = books.sending(first)
    outlast(books, claim, 2 * MINUTE)
    # When it ends
    ended = now_ms(books.store)
    assert books.finish(claim)
    # Then the next waits as if it had taken no time
    until = gap_ends(books)
    assert ended + GAP[0] * SECOND <= until <= now_ms(books.store) + GAP[1] * SECOND
    assert (books.try_claim(second), alarm(books)) == (None, until)
    assert wait_of(books, second) == ("dm_gap", until, 0)
    pass_until(books, until - SLACK)
    assert woken(books) == []
    books.pass_time(SLACK)
    assert woken(books) == [second]
    assert audit(books) == []


def test_gaps_are_spread_over_all_that_lies_between_their_bounds(opened: Opener) -> None:
    books = opened(shop=terms(dm=pace(GAP)))
    shares = []
    for _ in range(60):
        write(books, books.job())
        [*_, ended] = spent(books)
        shares.append((gap_ends(books) - ended) / SECOND)
        books.pass_time(GAP[1] * SECOND)
    low, high = GAP
    assert all(low <= share <= high for share in shares)
    assert min(shares) < low + 0.2 * (high - low)
    assert max(shares) > high - 0.2 * (high - low)
    assert len(set(shares)) > 50


def test_a_gap_is_of_its_account_and_kind_alone(opened: Opener) -> None:
    both = terms(dm=pace(GAP), comment=pace(GAP))
    books = opened(shop=both, studio=both)
    write(books, books.job())

    assert books.try_claim(books.job()) is None
    comment = books.job(kind="comment", to=None, post="Cx")
    write(books, comment)
    write(books, books.job(account="studio"))

    assert wait_of(books, books.job(kind="comment", to=None, post="Cx"))[0] == "comment_gap"
    assert audit(books) == []


# -- windows


@pytest.mark.parametrize(
    ("own", "reason", "span"),
    [(pace(per_hour=3), "dm_per_hour", HOUR), (pace(per_day=3), "dm_per_day", DAY)],
    ids=["hour", "day"],
)
def test_one_too_many_goes_when_the_oldest_leaves_its_window(
    opened: Opener, own: Pace, reason: str, span: int
) -> None:
    # Given three writes in a while, as many as are allowed
    books = opened(shop=terms(dm=own))
    for _ in range(3):
        write(books, books.job())
        books.pass_time(5 * MINUTE)
    # When two more come
    waiters = [books.job(), books.job()]
    # Then the first waits for the oldest to be that long ago, and the other for the next
    opens = spent(books)[0] + span
    assert (books.try_claim(waiters[0]), alarm(books)) == (None, opens)
    assert wait_of(books, waiters[0]) == (reason, opens, 0)
    assert wait_of(books, waiters[1])[1] > opens
    pass_until(books, opens - SLACK)
    assert woken(books) == []
    assert books.try_claim(waiters[0]) is None
    books.pass_time(SLACK)
    assert woken(books) == waiters[:1]
    write(books, waiters[0])
    assert alarm(books) == spent(books)[-3] + span
    assert audit(books) == []


@pytest.mark.parametrize(
    ("own", "span"), [(pace(per_hour=1), HOUR), (pace(per_day=1), DAY)], ids=["hour", "day"]
)
def test_a_window_is_counted_from_the_end_of_a_write(opened: Opener, own: Pace, span: int) -> None:
    # Given a write that took minutes
    books = opened(shop=terms(dm=own))
    claim = books.sending(books.job())
    outlast(books, claim, 3 * MINUTE)
    ended = now_ms(books.store)
    assert books.finish(claim)
    passed = span - MINUTE
    # When its beginning has left the window
    books.pass_time(passed)
    # Then it still counts
    assert books.try_claim(books.job()) is None
    assert alarm(books) == spent(books)[0] + span
    assert spent(books)[0] + passed >= ended


def test_a_budget_that_was_lowered_waits_until_it_has_room_again(opened: Opener) -> None:
    # Given more writes than will be allowed
    before = opened(shop=terms(dm=pace(per_hour=4)))
    for _ in range(4):
        write(before, before.job())
        before.pass_time(5 * MINUTE)
    job_id = before.job()
    # When the service begins anew with less
    books = opened(shop=terms(dm=pace(per_hour=2)))
    books.run(books.doors.recheck_all())
    # Then it waits for all but one of them to be an hour ago
    assert books.try_claim(job_id) is None
    assert alarm(books) == spent(books)[2] + HOUR


def test_a_full_hour_does_not_hide_a_full_day(opened: Opener) -> None:
    books = opened(shop=terms(dm=pace(per_hour=1, per_day=1)))
    write(books, books.job())

    reason, until, _ = wait_of(books, books.job())

    assert (reason, until) == ("dm_per_day", spent(books)[0] + DAY)


# -- charges


def test_a_write_is_charged_before_it_is_made(opened: Opener) -> None:
    books = opened(shop=terms(dm=pace(GAP, per_day=5)))
    claim = books.claim(books.job())
    assert (spent(books), gap_ends(books)) == ([], 0)

    assert books.intend(claim) == "ok"

    [charged] = spent(books)
    assert charged == books.record(claim.id).intent_ms
    assert gap_ends(books) >= charged + GAP[0] * SECOND


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.UNCERTAIN])
def test_a_write_stays_charged_however_it_ends(opened: Opener, status: Status) -> None:
    books = opened(shop=terms(dm=pace(per_day=1)))
    assert books.finish(books.sending(books.job()), status)

    assert len(spent(books)) == 1
    assert books.try_claim(books.job()) is None


def test_a_write_whose_end_is_unknown_stays_charged_when_look_ups_do_not_find_it(
    opened: Opener,
) -> None:
    # Given a write in doubt that look-ups do not find
    books = opened(shop=terms(dm=pace(GAP, per_day=5)))
    first = books.sending(books.job())
    assert books.release(first, Status.SENDING, charge="free") == "ok"
    books.tick()
    look = books.claim(first.id)
    assert look.verify_first
    # When it is to be sent again
    assert books.release(look, Status.QUEUED) == "ok"
    # Then it counts, and its second sending is one more
    assert len(spent(books)) == 1
    assert wait_of(books, first.id)[0] == "dm_gap"
    books.pass_time(GAP[1] * SECOND)
    assert woken(books) == [first.id]
    write(books, first.id)
    assert len(spent(books)) == 2


@pytest.mark.parametrize("kind", ["dm", "comment"])
def test_a_write_that_never_left_is_given_back(opened: Opener, kind: PaceKind) -> None:
    books = opened(shop=AccountLimits({kind: pace(GAP, per_day=2)}))
    asked = {"to": None, "post": "Cx"} if kind == "comment" else {}
    write(books, books.job(kind=kind, **asked))
    books.pass_time(GAP[1] * SECOND)
    claim = books.sending(books.job(kind=kind, **asked))
    step = books.claims.release(claim, Status.WAITING, "timed_out", after_ms=MINUTE, sent=False)

    assert books.run(step) == "ok"

    assert (len(spent(books, kind)), gap_ends(books, kind)) == (1, 0)
    write(books, books.job(kind=kind, **asked))
    assert audit(books) == []


def test_a_new_thread_that_never_left_is_given_back_to_both_budgets(opened: Opener) -> None:
    books = opened(shop=terms(dm=pace(per_day=1), dm_new_thread=pace(per_day=1)))
    claim = books.claim(books.job())
    assert books.intend(claim, thread="new") == "ok"
    assert (len(spent(books)), len(spent(books, "dm_new_thread"))) == (1, 1)

    books.run(books.claims.release(claim, Status.QUEUED, "reason", sent=False))

    assert (spent(books), spent(books, "dm_new_thread")) == ([], [])
    assert books.claim(claim.id)


def test_a_killed_write_stays_charged_and_its_gap_starts_when_that_is_noticed(
    opened: Opener,
) -> None:
    # Given a worker that dies during its write
    books = opened(shop=terms(dm=pace(GAP, per_day=5)))
    claim, waiter = books.sending(books.job()), books.job()
    books.pass_time(GAP[1] * SECOND)
    # When the beat notices
    noticed = now_ms(books.store)
    books.tick()
    # Then the write counts from now
    [ended] = spent(books)
    assert noticed <= ended <= now_ms(books.store)
    assert gap_ends(books) >= noticed + GAP[0] * SECOND
    assert wait_of(books, waiter)[0] == "dm_gap"
    assert books.status(claim.id) is Status.SENDING
    assert audit(books) == []


def test_reads_are_charged_as_look_ups_and_wait_for_nothing(opened: Opener) -> None:
    books = opened(shop=terms(lookup=pace(GAP, per_hour=2)))
    for _ in range(20):
        claim = books.claim(books.job())
        assert books.intend(claim, reads=2) == "ok"
        assert books.run(books.claims.finish(claim, Status.SUCCEEDED, reads=1)) == "ok"

    assert len(spent(books, "lookup")) == 60
    assert gap_ends(books, "lookup") > now_ms(books.store)
