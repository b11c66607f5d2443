"""Threads: a DM that opens one has a budget of its own, and is checked ahead of its turn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from service.jobs.claims import Claim
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.ledger import DAY, HOUR, SECOND, LedgerHarness
from tests.support.limited_ledger import (
    LedgerFactory,
    alarm_ms,
    gap_ends_ms,
    heartbeat_wakeups,
    ledger_factory,
    limits,
    pace,
    pass_until,
    send,
    spent_ms,
    wait_of,
)

LIMITED = limits(dm=pace(per_day=50), dm_new_thread=pace(per_day=1), lookup=pace((20, 30)))


@pytest.fixture
def ledger_with(store: redis.Redis, store_url: str) -> Iterator[LedgerFactory]:
    assert store.dbsize() == 0
    with ledger_factory(store_url) as ledger_with:
        yield ledger_with


def claim_and_check_thread(ledger: LedgerHarness, job_id: str, pk: str) -> Claim:
    """Claim a job whose thread is unknown; it must be checked."""
    claim = ledger.claim(job_id)
    assert ledger.record_intent(claim, thread="", pk=pk) == "ask"
    assert (ledger.status(job_id), spent_ms(ledger)) == (Status.RUNNING, [])
    return claim


def test_a_dm_is_charged_by_whether_its_thread_exists(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=LIMITED)
    send(ledger, ledger.add_job(), thread="old", pk="1")
    assert (len(spent_ms(ledger)), len(spent_ms(ledger, "dm_new_thread"))) == (1, 0)

    send(ledger, ledger.add_job(), thread="new", pk="2")
    assert (len(spent_ms(ledger)), len(spent_ms(ledger, "dm_new_thread"))) == (2, 1)


def test_a_dm_with_an_unknown_thread_is_checked_and_waits_in_its_sub_queue(
    ledger_with: LedgerFactory,
) -> None:
    # Given that no more threads may be opened today
    ledger = ledger_with(shop=LIMITED)
    send(ledger, ledger.add_job(), thread="new", pk="1")
    opens = spent_ms(ledger, "dm_new_thread")[0] + DAY
    # When a DM turns out to need a new thread
    claim = ledger.claim(ledger.add_job())
    assert ledger.record_intent(claim, thread="", pk="2") == "ask"
    assert ledger.record_intent(claim, thread="new", pk="2", reads=1) == "waiting"
    # Then it waits until tomorrow, and that was no attempt
    assert wait_of(ledger, claim.id) == ("dm_new_thread_per_day", opens, 0)
    assert ledger.record(claim.id).attempts == 0
    # And DMs to existing threads are still sent
    pass_until(ledger, gap_ends_ms(ledger, "lookup"))
    for pk in ("3", "4"):
        other = ledger.claim(ledger.add_job())
        assert ledger.record_intent(other, thread="", pk=pk) == "ask"
        assert ledger.record_intent(other, thread="old", pk=pk) == "ok"
        assert ledger.finish(other)
    # And tomorrow its thread is not checked again
    assert alarm_ms(ledger) == spent_ms(ledger, "dm_new_thread")[0] + DAY
    pass_until(ledger, spent_ms(ledger, "dm_new_thread")[0] + DAY)
    assert heartbeat_wakeups(ledger) == [claim.id]
    send(ledger, claim.id, thread="", pk="2")
    assert audit(ledger) == []


def test_a_thread_is_known_after_a_success(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=LIMITED)
    send(ledger, claim_and_check_thread(ledger, ledger.add_job(), "1").id, thread="new", pk="1")

    send(ledger, ledger.add_job(), thread="", pk="1")

    assert len(spent_ms(ledger, "dm_new_thread")) == 1
    other = ledger.claim(ledger.add_job(account="studio"))
    assert ledger.record_intent(other, thread="", pk="1") == "ask", (
        "a thread belongs to one account"
    )


@pytest.mark.parametrize("status", [Status.FAILED, Status.UNCERTAIN])
def test_a_thread_is_not_known_after_anything_else(
    ledger_with: LedgerFactory, status: Status
) -> None:
    ledger = ledger_with(shop=limits())
    send(ledger, ledger.add_job(), thread="new", pk="1", status=status)

    assert ledger.record_intent(ledger.claim(ledger.add_job()), thread="", pk="1") == "ask"


def test_a_thread_opened_meanwhile_by_another_job_is_not_opened_again(
    ledger_with: LedgerFactory,
) -> None:
    # Given two DMs to a recipient without a thread, of which one waits
    ledger = ledger_with(shop=limits(dm_new_thread=pace(per_hour=1)))
    first, second = ledger.add_job(), ledger.add_job()
    waiting = ledger.claim(first)
    assert ledger.record_intent(waiting, thread="", pk="1") == "ask"
    assert ledger.release(waiting, Status.WAITING, after_ms=SECOND) == "ok"
    send(ledger, second, thread="new", pk="1")
    # When the waiting one is due
    ledger.pass_time(SECOND)
    assert heartbeat_wakeups(ledger) == [first]
    # Then it is sent to the thread that the other has opened
    send(ledger, first, thread="", pk="1")
    assert len(spent_ms(ledger, "dm_new_thread")) == 1


def test_thread_checks_ahead_of_time_respect_the_lookup_limits(
    ledger_with: LedgerFactory,
) -> None:
    # Given many DMs with unknown threads, and no budget for new threads
    lookup = pace((20, 30), per_hour=3)
    ledger = ledger_with(shop=limits(dm_new_thread=pace(per_day=1), lookup=lookup))
    send(ledger, ledger.add_job(), thread="new", pk="1")
    ledger.take_messages()
    for _ in range(10):
        ledger.add_job()
    # When each of them needs a new thread
    checked = []
    for _ in range(5):
        for job_id in ledger.take_messages():
            claim = ledger.claim(job_id)
            assert ledger.record_intent(claim, thread="", pk="2") == "ask"
            assert ledger.record_intent(claim, thread="new", pk="2", reads=1) == "waiting"
            checked.append(job_id)
            assert ledger.take_messages() == [], "the next waits for the gap between lookups"
        ledger.pass_time(30 * SECOND)
        ledger.heartbeat()
    # Then only as many were checked as lookups are allowed
    assert len(checked) == 3
    assert alarm_ms(ledger) == spent_ms(ledger, "lookup")[0] + HOUR
    pass_until(ledger, spent_ms(ledger, "lookup")[0] + HOUR)
    assert len(heartbeat_wakeups(ledger)) == 1
    assert audit(ledger) == []
