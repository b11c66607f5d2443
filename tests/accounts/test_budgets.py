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
from tests.support.ledger import DAY, HOUR, SECOND, TIMES, LedgerHarness
from tests.support.limited_ledger import (
    SLACK,
    LedgerFactory,
    alarm_ms,
    gap_ends_ms,
    heartbeat_wakeups,
    ledger_factory,
    limits,
    now_ms,
    pace,
    pass_until,
    send,
    spent_ms,
    wait_of,
)

MINUTE = 60 * SECOND
GAP = (100, 300)


@pytest.fixture
def ledger_with(store: redis.Redis, store_url: str) -> Iterator[LedgerFactory]:
    assert store.dbsize() == 0
    with ledger_factory(store_url) as ledger_with:
        yield ledger_with


def outlast(ledger: LedgerHarness, claim: Claim, ms: int) -> None:
    """Let a write take this long, with heartbeats that renew its lease."""
    for _ in range(ms // (TIMES.lease // 2)):
        ledger.pass_time(TIMES.lease // 2)
        assert ledger.heartbeat(claim)[0] == []


# -- gaps


def test_a_gap_runs_from_the_end_of_a_write_to_the_start_of_the_next(
    ledger_with: LedgerFactory,
) -> None:
    # Given a write that takes as long as a gap
    ledger = ledger_with(shop=limits(dm=pace(GAP)))
    first, second = ledger.add_job(), ledger.add_job()
    claim = ledger.claim_and_send(first)
    outlast(ledger, claim, 2 * MINUTE)
    # When it ends
    ended = now_ms(ledger.store)
    assert ledger.finish(claim)
    # Then the gap is not shortened by the write's duration
    until = gap_ends_ms(ledger)
    assert ended + GAP[0] * SECOND <= until <= now_ms(ledger.store) + GAP[1] * SECOND
    assert (ledger.try_claim(second), alarm_ms(ledger)) == (None, until)
    assert wait_of(ledger, second) == ("dm_gap", until, 0)
    pass_until(ledger, until - SLACK)
    assert heartbeat_wakeups(ledger) == []
    ledger.pass_time(SLACK)
    assert heartbeat_wakeups(ledger) == [second]
    assert audit(ledger) == []


def test_gaps_are_spread_over_their_whole_range(
    ledger_with: LedgerFactory,
) -> None:
    ledger = ledger_with(shop=limits(dm=pace(GAP)))
    gaps = []
    for _ in range(60):
        send(ledger, ledger.add_job())
        [*_, ended] = spent_ms(ledger)
        gaps.append((gap_ends_ms(ledger) - ended) / SECOND)
        ledger.pass_time(GAP[1] * SECOND)
    low, high = GAP
    assert all(low <= gap <= high for gap in gaps)
    assert min(gaps) < low + 0.2 * (high - low)
    assert max(gaps) > high - 0.2 * (high - low)
    assert len(set(gaps)) > 50


def test_a_gap_applies_to_its_account_and_kind_only(ledger_with: LedgerFactory) -> None:
    both = limits(dm=pace(GAP), comment=pace(GAP))
    ledger = ledger_with(shop=both, studio=both)
    send(ledger, ledger.add_job())

    assert ledger.try_claim(ledger.add_job()) is None
    comment = ledger.add_job(kind="comment", to=None, post="Cx")
    send(ledger, comment)
    send(ledger, ledger.add_job(account="studio"))

    assert wait_of(ledger, ledger.add_job(kind="comment", to=None, post="Cx"))[0] == "comment_gap"
    assert audit(ledger) == []


# -- windows


@pytest.mark.parametrize(
    ("own", "reason", "span"),
    [(pace(per_hour=3), "dm_per_hour", HOUR), (pace(per_day=3), "dm_per_day", DAY)],
    ids=["hour", "day"],
)
def test_a_job_over_the_limit_runs_when_the_oldest_write_leaves_the_window(
    ledger_with: LedgerFactory, own: Pace, reason: str, span: int
) -> None:
    # Given three writes at intervals, as many as are allowed
    ledger = ledger_with(shop=limits(dm=own))
    for _ in range(3):
        send(ledger, ledger.add_job())
        ledger.pass_time(5 * MINUTE)
    # When two more jobs are added
    waiters = [ledger.add_job(), ledger.add_job()]
    # Then the first waits until the oldest write leaves the window, the other for the next
    opens = spent_ms(ledger)[0] + span
    assert (ledger.try_claim(waiters[0]), alarm_ms(ledger)) == (None, opens)
    assert wait_of(ledger, waiters[0]) == (reason, opens, 0)
    assert wait_of(ledger, waiters[1])[1] > opens
    pass_until(ledger, opens - SLACK)
    assert heartbeat_wakeups(ledger) == []
    assert ledger.try_claim(waiters[0]) is None
    ledger.pass_time(SLACK)
    assert heartbeat_wakeups(ledger) == waiters[:1]
    send(ledger, waiters[0])
    assert alarm_ms(ledger) == spent_ms(ledger)[-3] + span
    assert audit(ledger) == []


@pytest.mark.parametrize(
    ("own", "span"), [(pace(per_hour=1), HOUR), (pace(per_day=1), DAY)], ids=["hour", "day"]
)
def test_a_window_is_measured_from_the_end_of_a_write(
    ledger_with: LedgerFactory, own: Pace, span: int
) -> None:
    # Given a write that took minutes
    ledger = ledger_with(shop=limits(dm=own))
    claim = ledger.claim_and_send(ledger.add_job())
    outlast(ledger, claim, 3 * MINUTE)
    ended = now_ms(ledger.store)
    assert ledger.finish(claim)
    passed = span - MINUTE
    # When its start has left the window
    ledger.pass_time(passed)
    # Then it still counts
    assert ledger.try_claim(ledger.add_job()) is None
    assert alarm_ms(ledger) == spent_ms(ledger)[0] + span
    assert spent_ms(ledger)[0] + passed >= ended


def test_a_lowered_budget_blocks_until_enough_writes_leave_the_window(
    ledger_with: LedgerFactory,
) -> None:
    # Given more writes than will be allowed
    before = ledger_with(shop=limits(dm=pace(per_hour=4)))
    for _ in range(4):
        send(before, before.add_job())
        before.pass_time(5 * MINUTE)
    job_id = before.add_job()
    # When the service restarts with a lower limit
    ledger = ledger_with(shop=limits(dm=pace(per_hour=2)))
    ledger.run(ledger.controls.recheck_all())
    # Then the job waits until all but one of them have left the window
    assert ledger.try_claim(job_id) is None
    assert alarm_ms(ledger) == spent_ms(ledger)[2] + HOUR


def test_an_exhausted_hour_does_not_hide_an_exhausted_day(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=limits(dm=pace(per_hour=1, per_day=1)))
    send(ledger, ledger.add_job())

    reason, until, _ = wait_of(ledger, ledger.add_job())

    assert (reason, until) == ("dm_per_day", spent_ms(ledger)[0] + DAY)


# -- charges


def test_a_write_is_charged_before_it_is_made(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=limits(dm=pace(GAP, per_day=5)))
    claim = ledger.claim(ledger.add_job())
    assert (spent_ms(ledger), gap_ends_ms(ledger)) == ([], 0)

    assert ledger.record_intent(claim) == "ok"

    [charged] = spent_ms(ledger)
    assert charged == ledger.record(claim.id).intent_ms
    assert gap_ends_ms(ledger) >= charged + GAP[0] * SECOND


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.UNCERTAIN])
def test_a_write_stays_charged_however_it_ends(ledger_with: LedgerFactory, status: Status) -> None:
    ledger = ledger_with(shop=limits(dm=pace(per_day=1)))
    assert ledger.finish(ledger.claim_and_send(ledger.add_job()), status)

    assert len(spent_ms(ledger)) == 1
    assert ledger.try_claim(ledger.add_job()) is None


def test_an_unconfirmed_write_stays_charged_if_verification_does_not_find_it(
    ledger_with: LedgerFactory,
) -> None:
    # Given an unconfirmed write that verification does not find
    ledger = ledger_with(shop=limits(dm=pace(GAP, per_day=5)))
    first = ledger.claim_and_send(ledger.add_job())
    assert ledger.release(first, Status.SENDING, charge="free") == "ok"
    ledger.heartbeat()
    verification = ledger.claim(first.id)
    assert verification.verify_first
    # When it is to be sent again
    assert ledger.release(verification, Status.QUEUED) == "ok"
    # Then it stays charged, and sending it again is charged too
    assert len(spent_ms(ledger)) == 1
    assert wait_of(ledger, first.id)[0] == "dm_gap"
    ledger.pass_time(GAP[1] * SECOND)
    assert heartbeat_wakeups(ledger) == [first.id]
    send(ledger, first.id)
    assert len(spent_ms(ledger)) == 2


@pytest.mark.parametrize("kind", ["dm", "comment"])
def test_an_unsent_write_is_refunded(ledger_with: LedgerFactory, kind: PaceKind) -> None:
    ledger = ledger_with(shop=AccountLimits({kind: pace(GAP, per_day=2)}))
    asked = {"to": None, "post": "Cx"} if kind == "comment" else {}
    send(ledger, ledger.add_job(kind=kind, **asked))
    ledger.pass_time(GAP[1] * SECOND)
    claim = ledger.claim_and_send(ledger.add_job(kind=kind, **asked))
    step = ledger.claims.release(claim, Status.WAITING, "timed_out", after_ms=MINUTE, sent=False)

    assert ledger.run(step) == "ok"

    assert (len(spent_ms(ledger, kind)), gap_ends_ms(ledger, kind)) == (1, 0)
    send(ledger, ledger.add_job(kind=kind, **asked))
    assert audit(ledger) == []


def test_an_unsent_new_thread_is_refunded_to_both_budgets(
    ledger_with: LedgerFactory,
) -> None:
    ledger = ledger_with(shop=limits(dm=pace(per_day=1), dm_new_thread=pace(per_day=1)))
    claim = ledger.claim(ledger.add_job())
    assert ledger.record_intent(claim, thread="new") == "ok"
    assert (len(spent_ms(ledger)), len(spent_ms(ledger, "dm_new_thread"))) == (1, 1)

    ledger.run(ledger.claims.release(claim, Status.QUEUED, "reason", sent=False))

    assert (spent_ms(ledger), spent_ms(ledger, "dm_new_thread")) == ([], [])
    assert ledger.claim(claim.id)


def test_a_dead_workers_write_stays_charged_and_its_gap_starts_at_detection(
    ledger_with: LedgerFactory,
) -> None:
    # Given a worker that dies during its write
    ledger = ledger_with(shop=limits(dm=pace(GAP, per_day=5)))
    claim, waiter = ledger.claim_and_send(ledger.add_job()), ledger.add_job()
    ledger.pass_time(GAP[1] * SECOND)
    # When a heartbeat detects it
    detected = now_ms(ledger.store)
    ledger.heartbeat()
    # Then the write counts from then on
    [ended] = spent_ms(ledger)
    assert detected <= ended <= now_ms(ledger.store)
    assert gap_ends_ms(ledger) >= detected + GAP[0] * SECOND
    assert wait_of(ledger, waiter)[0] == "dm_gap"
    assert ledger.status(claim.id) is Status.SENDING
    assert audit(ledger) == []


def test_reads_are_charged_as_lookups_and_wait_for_nothing(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=limits(lookup=pace(GAP, per_hour=2)))
    for _ in range(20):
        claim = ledger.claim(ledger.add_job())
        assert ledger.record_intent(claim, reads=2) == "ok"
        assert ledger.run(ledger.claims.finish(claim, Status.SUCCEEDED, reads=1)) == "ok"

    assert len(spent_ms(ledger, "lookup")) == 60
    assert gap_ends_ms(ledger, "lookup") > now_ms(ledger.store)
