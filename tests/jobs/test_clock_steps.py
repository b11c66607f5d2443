"""The store's clock is set back: what lies in the future counts as now, and nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis

from actors.jobs.writes import search_context
from service.jobs.account_effect import AccountEffect
from service.jobs.model import Status
from service.jobs.write_ownership import WriteOwnership
from tests.support.invariants import audit
from tests.support.job_states import job_in
from tests.support.ledger import DAY, HOUR, SECOND, TIMES, LedgerHarness
from tests.support.limited_ledger import (
    LedgerFactory,
    gap_ends_ms,
    ledger_factory,
    limits,
    now_ms,
    pace,
    spent_ms,
)
from tests.support.lookups import LookupHarness, fail_lookup, finish_lookup

MINUTE = 60 * SECOND
STEPS = [MINUTE, HOUR, 3 * DAY]


@pytest.fixture
def ledger_with(store: redis.Redis, store_url: str) -> Iterator[LedgerFactory]:
    """A factory of ledgers with limits."""
    assert store.dbsize() == 0
    with ledger_factory(store_url) as ledger_with:
        yield ledger_with


def set_back(ledger: LedgerHarness, ms: int) -> None:
    """Set the store's clock back under processes that beat, and let them notice it."""
    ledger.heartbeat()
    ledger.pass_time(-ms)
    settle(ledger)


def settle(ledger: LedgerHarness) -> None:
    """Beat until a pass over the stored times has ended."""
    for _ in range(100):
        ledger.heartbeat()
        if not ledger.store.hexists("hg:clock", "phase"):
            return
    raise AssertionError("the pass does not end")


def due_in(ledger: LedgerHarness, index: str, member: str) -> float:
    """In how many ms a member of an index is due."""
    at = ledger.store.zscore(index, member)
    assert at is not None
    return float(at) - now_ms(ledger.store)


@pytest.mark.parametrize("ms", STEPS)
def test_no_account_rests_longer_because_of_it(ledger_with: LedgerFactory, ms: int) -> None:
    # Given an account in its gap, with a budget of two an hour that is spent
    ledger = ledger_with(shop=limits(dm=pace((60, 60), per_hour=2, per_day=80)))
    for _ in range(2):
        ledger.finish(ledger.claim_and_send(ledger.add_job()))
        ledger.pass_time(MINUTE)
    waiter = ledger.add_job()
    ledger.take_messages()
    # When the clock is set back
    set_back(ledger, ms)
    # Then its stamps are not in the future, and its gap and budget last no longer than ever
    now = now_ms(ledger.store)
    assert gap_ends_ms(ledger) <= now + MINUTE
    assert max(spent_ms(ledger)) <= now
    assert due_in(ledger, "hg:alarms", "shop") <= HOUR
    ledger.pass_time(HOUR)
    ledger.heartbeat()
    assert ledger.take_messages() == [waiter]
    assert audit(ledger) == []


@pytest.mark.parametrize("ms", STEPS)
def test_a_cooldown_is_as_long_as_it_was_meant_to_be(ledger: LedgerHarness, ms: int) -> None:
    claim = ledger.claim(ledger.add_job())
    cooldown = AccountEffect(cooldown="slow_down", kind="dm", cooldown_ms=15 * MINUTE)
    ledger.release(claim, Status.WAITING, effect=cooldown)

    set_back(ledger, ms)

    assert 14 * MINUTE < due_in(ledger, "hg:alarms", "shop") <= 15 * MINUTE
    ledger.pass_time(15 * MINUTE)
    ledger.heartbeat()
    assert ledger.turn() == claim.id


def test_a_cooldown_from_before_the_clock_was_ahead_is_not_cut_short(
    ledger: LedgerHarness,
) -> None:
    # Given a cooldown of two hours
    claim = ledger.claim(ledger.add_job())
    cooldown = AccountEffect(cooldown="slow_down", kind="dm", cooldown_ms=2 * HOUR)
    ledger.release(claim, Status.WAITING, effect=cooldown)
    ledger.heartbeat()
    # When the clock is an hour ahead for a while, and set right
    ledger.pass_time(HOUR)
    ledger.heartbeat()
    set_back(ledger, HOUR)
    # Then it still lasts two hours
    assert due_in(ledger, "hg:alarms", "shop") > 2 * HOUR - MINUTE


@pytest.mark.parametrize("ms", STEPS)
def test_a_retry_is_due_as_late_as_it_was_meant_to_be(ledger: LedgerHarness, ms: int) -> None:
    claim = ledger.claim(ledger.add_job())
    ledger.release(claim, Status.WAITING, after_ms=5 * MINUTE)

    set_back(ledger, ms)

    assert 4 * MINUTE < due_in(ledger, "hg:due", claim.id) <= 5 * MINUTE
    assert ledger.statuses(claim.id)[-2:] == ["waiting", "waiting"], "its timeline says why"
    settle(ledger)
    assert 4 * MINUTE < due_in(ledger, "hg:due", claim.id) <= 5 * MINUTE
    ledger.pass_time(5 * MINUTE)
    ledger.heartbeat()
    assert ledger.claim(claim.id)
    assert audit(ledger) == []


def test_a_job_that_somebody_has_scheduled_stays_where_it_is(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job(delay_ms=2 * HOUR)
    before = ledger.store.hgetall(f"hg:job:{job_id}")
    ledger.heartbeat()
    assert ledger.store.hgetall(f"hg:job:{job_id}") == before
    set_back(ledger, HOUR)
    assert 2 * HOUR < due_in(ledger, "hg:due", job_id) <= 3 * HOUR
    ledger.pass_time(3 * HOUR)
    ledger.heartbeat()
    assert ledger.claim(job_id)


@pytest.mark.parametrize("ms", STEPS)
@pytest.mark.parametrize("status", [Status.RUNNING, Status.SENDING])
def test_no_lease_of_a_dead_worker_lives_longer(
    ledger: LedgerHarness, ms: int, status: Status
) -> None:
    job_id = job_in(ledger, status)
    ledger.take_messages()
    set_back(ledger, ms)
    assert due_in(ledger, "hg:leases", job_id) <= TIMES.lease
    assert due_in(ledger, "hg:turns", "shop") <= TIMES.lease

    ledger.pass_time(TIMES.lease)
    ledger.heartbeat()
    if status is Status.SENDING:
        assert due_in(ledger, "hg:due", job_id) <= TIMES.settle
        ledger.pass_time(TIMES.settle)
        ledger.heartbeat()
    assert ledger.take_messages() == [job_id]
    assert ledger.claim(job_id, "another worker").verify_first is (status is Status.SENDING)
    assert audit(ledger) == []


def test_a_live_worker_keeps_its_claim(ledger: LedgerHarness) -> None:
    claim = ledger.claim_and_send(ledger.add_job())
    ledger.heartbeat(claim)
    ledger.pass_time(-HOUR)
    for _ in range(5):
        assert ledger.heartbeat(claim)[0] == []
        ledger.pass_time(TIMES.lease // 2)
    assert ledger.finish(claim)
    assert audit(ledger) == []


@pytest.mark.parametrize("ms", STEPS)
def test_a_wake_up_that_was_lost_is_repeated_within_a_lease(ledger: LedgerHarness, ms: int) -> None:
    job_id = ledger.add_job()
    ledger.take_messages()
    set_back(ledger, ms)
    ledger.pass_time(TIMES.lease)
    ledger.heartbeat()
    assert ledger.take_messages() == [job_id]


@pytest.mark.parametrize("ms", STEPS)
def test_a_callbacks_next_attempt_is_as_late_as_it_was_meant_to_be(
    ledger: LedgerHarness, ms: int
) -> None:
    job_in(ledger, Status.CANCELED)
    [delivery_id] = ledger.take_messages("callbacks")
    claim = ledger.run(ledger.deliveries.claim(delivery_id, "worker"))
    assert claim is not None
    assert ledger.run(ledger.deliveries.defer(claim, after_ms=5 * MINUTE))

    set_back(ledger, ms)

    assert 4 * MINUTE < due_in(ledger, "hg:due", delivery_id) <= 5 * MINUTE
    ledger.pass_time(5 * MINUTE)
    ledger.heartbeat()
    assert ledger.run(ledger.deliveries.claim(delivery_id, "worker")) is not None
    assert audit(ledger) == []


@pytest.mark.parametrize("ms", STEPS)
def test_a_verification_searches_from_before_the_write(ledger: LedgerHarness, ms: int) -> None:
    # Given a write whose worker died half a minute ago
    job_id = ledger.claim_and_send(ledger.add_job()).id
    ledger.heartbeat()
    ledger.pass_time(30 * SECOND)
    ledger.heartbeat()
    # When the clock is set back before it is verified
    set_back(ledger, ms)
    ledger.pass_time(TIMES.lease + TIMES.settle)
    ledger.heartbeat()
    claim = ledger.claim(job_id, "another worker")
    # Then the search begins no later than the write
    search = search_context(claim, 0, WriteOwnership(ledger.client))
    assert claim.verify_first
    assert claim.claimed_ms - claim.job.intent_ms >= 30 * SECOND + TIMES.lease
    assert search.age_ms >= 30 * SECOND


def test_a_verification_before_any_heartbeat_has_noticed_searches_far_back(
    ledger: LedgerHarness,
) -> None:
    job_id = ledger.claim_and_send(ledger.add_job()).id
    ledger.pass_time(TIMES.lease + SECOND)
    ledger.store.hset(f"hg:job:{job_id}", "intent_at", now_ms(ledger.store) + DAY)
    ledger.heartbeat()
    ledger.pass_time(TIMES.settle)
    ledger.store.hset(f"hg:job:{job_id}", "intent_at", now_ms(ledger.store) + DAY)
    ledger.heartbeat()
    claim = ledger.claim(job_id, "another worker")
    assert claim.claimed_ms - claim.job.intent_ms >= HOUR


def _fail_lookup(ledger: LedgerHarness, job_id: str) -> None:
    fail_lookup(ledger, job_id, "instagram_unavailable")


@pytest.mark.parametrize("end", [finish_lookup, _fail_lookup])
def test_a_lookup_from_the_future_is_of_unknown_age_and_made_again(
    ledger_with: LedgerFactory, end: Callable[[LedgerHarness, str], object]
) -> None:
    lookups = LookupHarness(ledger_with(reader=limits()), "reader")
    job_id = lookups.request_new("a")
    end(lookups.ledger, job_id)
    assert lookups.request("a").job_id is None
    set_back(lookups.ledger, HOUR)
    assert lookups.request("a").job_id not in (None, job_id)


def test_a_pass_takes_slices_and_ends(ledger: LedgerHarness) -> None:
    # Given many accounts with many waits
    claims = [ledger.claim(job_id) for job_id in ledger.add_jobs(300, apart=True)]
    for claim in claims:
        ledger.release(claim, Status.WAITING, after_ms=5 * MINUTE)
    ledger.add_jobs(300, delay_ms=2 * HOUR)
    ledger.heartbeat()
    ledger.pass_time(-HOUR)
    # When heartbeats follow
    beats = 0
    ledger.heartbeat()
    while ledger.store.hexists("hg:clock", "phase"):
        ledger.heartbeat()
        beats += 1
    # Then each did a part, and all was mended once
    assert beats > 5
    assert all(due_in(ledger, "hg:due", claim.id) <= 5 * MINUTE for claim in claims)
    assert all(ledger.statuses(claim.id)[-2:] == ["waiting"] * 2 for claim in claims[:20])
    assert ledger.store.hget("hg:counters", "clock_step:back") == b"1"
    assert audit(ledger) == []
