"""Two releases run: the older one leaves what the newer one has written alone, and goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from service.jobs.lua.control_account import control_account
from service.jobs.lua.hash_encoding import RECORD_VERSION
from service.jobs.lua.prune import prune
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.job_states import job_in
from tests.support.ledger import DAY, HOUR, SECOND, TIMES, Event, LedgerHarness, draft
from tests.support.limited_ledger import now_ms
from tests.support.lookups import LookupHarness
from tests.support.releases import newer_release

#: More than one look at a sub-queue steps over.
MANY = 130


@pytest.fixture
def newer(ledger: LedgerHarness, store_url: str) -> Iterator[LedgerHarness]:
    """A newer release over the same store."""
    with newer_release(store_url) as newer:
        yield newer


def _record(ledger: LedgerHarness, job_id: str) -> dict[Any, Any]:
    fields: Any = ledger.store.hgetall(f"hg:job:{job_id}")
    return {**fields, "timeline": ledger.store.lrange(f"hg:jobtl:{job_id}", 0, -1)}


def _alarm_in(ledger: LedgerHarness, account: str = "shop") -> float:
    alarm = ledger.store.zscore("hg:alarms", account)
    assert alarm is not None
    return float(alarm) - now_ms(ledger.store)


# -- in line


@pytest.mark.parametrize("count", [1, 3, 100])
def test_newer_jobs_at_the_head_of_the_line_are_stepped_over_at_once(
    ledger: LedgerHarness, newer: LedgerHarness, count: int
) -> None:
    # Given newer jobs before one of this release, behind one that runs
    holder = ledger.claim(ledger.add_job())
    ahead = newer.add_jobs(count, priority=9)
    own = ledger.add_job()
    ledger.take_messages()
    before = [_record(ledger, job_id) for job_id in ahead]
    # When the one that runs ends
    ledger.finish(holder)
    # Then this release's job has the turn, and the others are as they were
    assert (ledger.turn(), ledger.take_messages()) == (own, [own])
    assert [_record(ledger, job_id) for job_id in ahead] == before
    ledger.finish(ledger.claim(own))
    assert [_record(ledger, job_id) for job_id in ahead] == before


def test_jobs_that_only_a_newer_release_can_do_wait_without_a_spin(
    ledger: LedgerHarness, newer: LedgerHarness
) -> None:
    holder, waiter = ledger.claim(ledger.add_job()), newer.add_job()
    ledger.take_messages()
    ledger.finish(holder)
    # Nobody has the turn, and the account is looked at again in a lease
    assert (ledger.turn(), ledger.take_messages()) == (None, [])
    assert 0 < _alarm_in(ledger) <= TIMES.lease
    # Heartbeats find nothing due meanwhile, and the alarm stays in the future
    for _ in range(5):
        assert ledger.heartbeat()[1] == 0
        assert 0 < _alarm_in(ledger) <= TIMES.lease
    for _ in range(3):
        ledger.pass_time(TIMES.lease)
        ledger.heartbeat()
        assert ledger.heartbeat()[1] == 0
    assert (ledger.turn(), ledger.status(waiter)) == (None, Status.WAITING)
    assert audit(newer) == []


def test_a_newer_worker_finds_what_was_stepped_over_at_its_next_heartbeat(
    ledger: LedgerHarness, newer: LedgerHarness
) -> None:
    holder, waiter = ledger.claim(ledger.add_job()), newer.add_job()
    ledger.finish(holder)
    ledger.heartbeat()
    ledger.take_messages()

    newer.heartbeat()

    assert (newer.turn(), newer.take_messages()) == (waiter, [waiter])
    newer.finish(newer.claim_and_send(waiter))
    assert ledger.store.exists("hg:newer") == 0
    assert audit(newer) == []


def test_the_newer_releases_end_of_a_job_grants_by_order(
    ledger: LedgerHarness, newer: LedgerHarness
) -> None:
    holder = newer.claim(newer.add_job())
    first, own = newer.add_job(priority=9), ledger.add_job()
    newer.finish(holder)
    assert newer.turn() == first
    newer.finish(newer.claim(first))
    assert newer.turn() == own


def test_a_pause_holds_the_jobs_of_this_release_only(
    ledger: LedgerHarness, newer: LedgerHarness
) -> None:
    holder = ledger.claim(ledger.add_job())
    ahead, own = newer.add_jobs(MANY, priority=9), ledger.add_jobs(30)
    before = [_record(ledger, job_id) for job_id in ahead]
    ledger.run(ledger.controls.pause("shop"))
    ledger.finish(holder)
    for _ in range(5):
        ledger.heartbeat()
    assert [_record(ledger, job_id) for job_id in ahead] == before
    # A newer release holds them, and then this one has its own
    for _ in range(10):
        newer.heartbeat()
    assert {ledger.status(job_id) for job_id in (*ahead, *own)} == {Status.HELD}


def test_a_resume_releases_the_jobs_of_this_release_only(
    ledger: LedgerHarness, newer: LedgerHarness
) -> None:
    newer.run(newer.controls.pause("shop"))
    theirs, own = newer.add_jobs(30, priority=9), ledger.add_jobs(30)
    before = [_record(ledger, job_id) for job_id in theirs]

    assert ledger.run(ledger.controls.resume("shop")) == 30

    assert [_record(ledger, job_id) for job_id in theirs] == before
    assert {ledger.status(job_id) for job_id in own} == {Status.WAITING, Status.QUEUED}
    assert newer.scripts.run(control_account("shop", "release", "", 100, "rescue", "")) == 30


# -- what is due


@pytest.mark.parametrize("index", ["due", "leases", "expiry"])
def test_what_is_due_of_a_newer_release_is_left_to_it(
    ledger: LedgerHarness, newer: LedgerHarness, index: str
) -> None:
    made: dict[str, Callable[[], str]] = {
        "due": lambda: newer.add_job(delay_ms=SECOND),
        "leases": lambda: newer.claim(newer.add_job()).id,
        "expiry": lambda: newer.add_job(delay_ms=HOUR, expires_ms=SECOND),
    }
    job_id = made[index]()
    newer.take_messages()
    ledger.pass_time(TIMES.lease + SECOND)
    before = _record(ledger, job_id)

    assert ledger.heartbeat()[1] >= 1
    assert _record(ledger, job_id) == before
    assert ledger.heartbeat()[1] == 0, "it is not looked at again and again"

    ledger.pass_time(TIMES.lease)
    newer.heartbeat()
    assert _record(newer, job_id) != before
    assert audit(newer) == []


def test_wake_ups_of_a_newer_release_change_nothing_of_its_record(
    ledger: LedgerHarness, newer: LedgerHarness
) -> None:
    job_id = newer.add_job()
    before = _record(ledger, job_id)
    newer.take_messages()
    for _ in range(3):
        ledger.pass_time(TIMES.lease)
        before = _record(ledger, job_id)
        ledger.heartbeat()
        assert ledger.take_messages() == [job_id]
        assert _record(ledger, job_id) == before


# -- what people ask for


@pytest.mark.parametrize("state", [Status.QUEUED, Status.RUNNING, Status.SCHEDULED, Status.HELD])
def test_cancel_leaves_a_newer_record_alone(
    ledger: LedgerHarness, newer: LedgerHarness, state: Status
) -> None:
    job_id = job_in(newer, state)
    before = _record(ledger, job_id)
    assert ledger.run(ledger.core.cancel(job_id, "api:test")) == "newer"
    assert _record(ledger, job_id) == before
    assert newer.run(newer.core.cancel(job_id, "api:test")) in ("ok", "asked")


@pytest.mark.parametrize("state", [Status.FAILED, Status.UNCERTAIN, Status.SUCCEEDED])
def test_retry_leaves_a_newer_record_alone(
    ledger: LedgerHarness, newer: LedgerHarness, state: Status
) -> None:
    job_id = job_in(newer, state)
    before = _record(ledger, job_id)
    assert ledger.run(ledger.core.retry(job_id, "api:test")) == "newer"
    assert _record(ledger, job_id) == before


def test_retention_leaves_newer_records_to_the_newer_release(
    ledger: LedgerHarness, newer: LedgerHarness
) -> None:
    job_id = job_in(newer, Status.SUCCEEDED)
    ledger.pass_time(TIMES.keep + SECOND)
    events = ledger.store.zrange("hg:events", 0, -1)

    assert ledger.scripts.run(prune(50)).dropped == 0
    assert ledger.scripts.run(prune(50)).looked == 0, "they are looked at again in a day"
    assert ledger.store.exists(f"hg:job:{job_id}") == 1
    assert ledger.store.zrange("hg:events", 0, -1) == events

    ledger.pass_time(DAY + SECOND)
    assert newer.scripts.run(prune(50)).dropped == len((job_id, *events))
    assert ledger.store.exists(f"hg:job:{job_id}") == 0


def test_an_event_of_a_newer_release_is_a_duplicate_and_gets_no_other_jobs(
    ledger: LedgerHarness, newer: LedgerHarness
) -> None:
    made = newer.accept(Event("evt_1"), draft(rule="one"))
    key = "hg:event:stripe:evt_1"
    before = ledger.store.hgetall(key)

    again = ledger.accept(Event("evt_1"), draft(rule="one"))
    assert (again.outcome, again.jobs) == ("duplicate", made.jobs)
    replayed = ledger.core.replay("stripe", "evt_1", [draft(rule="two")], [])
    assert ledger.run(replayed) is None
    assert ledger.store.hgetall(key) == before


def test_a_lookup_of_a_newer_release_is_not_moved_to_another_account(
    ledger: LedgerHarness,
) -> None:
    lookups = LookupHarness(ledger, "reader", "other")
    job_id = lookups.request_new("a")
    account = ledger.record(job_id).account
    ledger.store.hset(f"hg:job:{job_id}", "v", RECORD_VERSION + 1)
    ledger.run(ledger.controls.pause(account))
    before = _record(ledger, job_id)
    assert lookups.request("a").job_id == job_id
    assert _record(ledger, job_id) == before
