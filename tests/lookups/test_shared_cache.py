"""The shared lookup cache: one lookup for all callers, and which account makes it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis

from service.config.pacing import Pace
from service.jobs.account_effect import AccountEffect
from service.jobs.lua.limits import QuietHours
from service.jobs.model import Status
from tests.support.follower_rows import add_export
from tests.support.invariants import audit
from tests.support.ledger import DAY, HOUR, SECOND
from tests.support.limited_ledger import LedgerFactory, gap_ends_ms, limits, pace, spent_ms
from tests.support.lookups import LookupHarness, fail_lookup, finish_lookup

MINUTE = 60 * SECOND


def limited(per_hour: int = 60) -> Pace:
    return pace((3, 6), per_hour=per_hour, per_day=1000)


def cached_fields(store: redis.Redis, name: str) -> dict[bytes, bytes]:
    fields: Any = store.hgetall(f"hg:found:user:{name}")
    return dict(fields)


def test_all_callers_share_one_job(ledger_with: LedgerFactory) -> None:
    lookups = LookupHarness(ledger_with(reader=limits()), "reader")
    first = lookups.request("a")
    assert (first.value, first.problem, first.unavailable) == (None, None, None)
    assert {lookups.request("a").job_id for _ in range(3)} == {first.job_id}
    assert lookups.request("b").job_id != first.job_id
    assert lookups.state("a").job_id == first.job_id
    assert lookups.state("c").job_id is None
    assert audit(lookups.ledger) == []


def test_a_lookups_value_is_shared_until_it_is_stale(ledger_with: LedgerFactory) -> None:
    lookups = LookupHarness(ledger_with(reader=limits()), "reader")
    job_id = lookups.request_new("a")
    found = finish_lookup(lookups.ledger, job_id)
    state = lookups.request("a")
    assert state.value is not None
    assert (json.loads(state.value.body), state.job_id) == (found, None)
    lookups.ledger.pass_time(300 * SECOND)
    again = lookups.request("a")
    assert again.value is not None
    assert again.value.body == state.value.body
    assert again.value.age_ms >= 300 * SECOND
    assert again.job_id not in (None, job_id)
    assert audit(lookups.ledger) == []


def test_a_value_has_no_negative_age_after_the_clock_went_back(
    ledger_with: LedgerFactory,
) -> None:
    lookups = LookupHarness(ledger_with(reader=limits()), "reader")
    finish_lookup(lookups.ledger, lookups.request_new("a"))
    lookups.ledger.pass_time(-HOUR)

    state = lookups.request("a")
    assert state.value is not None
    assert (state.value.age_ms, state.job_id) == (0, None)


def test_a_cached_value_and_its_lookup_expire(
    ledger_with: LedgerFactory, store: redis.Redis
) -> None:
    lookups = LookupHarness(ledger_with(reader=limits()), "reader")
    job_id = lookups.request_new("a")
    finish_lookup(lookups.ledger, job_id)
    # The job is pruned after a day, the value expires after a week
    lookups.ledger.pass_time(DAY - SECOND)
    assert lookups.ledger.run(lookups.ledger.core.prune()) == 0
    lookups.ledger.pass_time(2 * SECOND)
    assert lookups.ledger.run(lookups.ledger.core.prune()) == 1
    assert lookups.ledger.run(lookups.ledger.queries.job(job_id)) is None
    assert lookups.state("a").value is not None
    lookups.ledger.pass_time(6 * DAY)
    assert cached_fields(store, "a") == {}
    assert audit(lookups.ledger) == []


@pytest.mark.parametrize("is_missing", [True, False])
def test_a_failure_is_cached_for_a_minute_and_only_a_missing_target_drops_the_value(
    ledger_with: LedgerFactory, is_missing: bool
) -> None:
    lookups = LookupHarness(ledger_with(reader=limits()), "reader")
    finish_lookup(lookups.ledger, lookups.request_new("a"))
    lookups.ledger.pass_time(301 * SECOND)
    fail_lookup(
        lookups.ledger, lookups.request_new("a"), "user_not_found" if is_missing else "timed_out"
    )
    state = lookups.request("a")
    assert (state.value is None, state.job_id) == (is_missing, None)
    assert state.problem is not None
    assert 55 < state.retry_seconds <= 60
    lookups.ledger.pass_time(MINUTE)
    assert lookups.request("a").job_id is not None


def test_the_end_of_an_earlier_lookup_does_not_end_the_one_in_flight(
    ledger_with: LedgerFactory,
) -> None:
    # Given a failed lookup that a person retries while the next one is in flight
    lookups = LookupHarness(ledger_with(reader=limits()), "reader")
    failed = lookups.request_new("a")
    fail_lookup(lookups.ledger, failed, "timed_out")
    lookups.ledger.pass_time(MINUTE)
    in_flight = lookups.request_new("a")
    assert lookups.ledger.run(lookups.ledger.core.retry(failed, "crm")) == "ok"
    # When it ends
    assert lookups.ledger.run(lookups.ledger.core.cancel(failed, "crm")) == "ok"
    # Then who asks meanwhile still waits for the other
    assert lookups.request("a").job_id == in_flight
    assert audit(lookups.ledger) == []


def test_a_successful_lookup_ends_a_cached_failure(
    ledger_with: LedgerFactory, store: redis.Redis
) -> None:
    lookups = LookupHarness(ledger_with(reader=limits()), "reader")
    fail_lookup(lookups.ledger, lookups.request_new("a"), "timed_out")
    assert 0 < store.pttl("hg:found:user:a") <= MINUTE
    lookups.ledger.pass_time(MINUTE)
    finish_lookup(lookups.ledger, lookups.request_new("a"))
    assert {name.decode() for name in cached_fields(store, "a")} == {"body", "etag", "at"}
    assert store.pttl("hg:found:user:a") > 6 * DAY


@pytest.mark.parametrize("how", ["canceled", "expired", "deleted"])
def test_a_lookup_that_ends_without_an_answer_lets_the_next_one_start(
    ledger_with: LedgerFactory, store: redis.Redis, how: str
) -> None:
    lookups = LookupHarness(ledger_with(reader=limits()), "reader")
    lookups.request_new("busy")
    job_id = lookups.request_new("a")
    if how == "canceled":
        lookups.ledger.run(lookups.ledger.core.cancel(job_id, "test"))
    elif how == "expired":
        lookups.ledger.pass_time(5 * MINUTE)
        lookups.ledger.heartbeat()
        assert lookups.ledger.status(job_id) is Status.EXPIRED
    else:
        store.delete(f"hg:job:{job_id}")
    assert (lookups.state("a").job_id, cached_fields(store, "a")) == (None, {})
    assert lookups.request_new("a") != job_id


def test_a_dead_workers_lookup_is_retried(ledger_with: LedgerFactory) -> None:
    lookups = LookupHarness(ledger_with(reader=limits(lookup=limited())), "reader")
    job_id = lookups.request_new("a")
    lookups.ledger.claim(job_id)
    lookups.ledger.pass_time(11 * SECOND)
    lookups.ledger.heartbeat()
    assert lookups.state("a").job_id == job_id
    lookups.ledger.pass_time(10 * SECOND)
    lookups.ledger.heartbeat()
    finish_lookup(lookups.ledger, job_id)
    assert lookups.state("a").value is not None
    # Both workers may have made the call
    assert len(spent_ms(lookups.ledger, "lookup", "reader")) == 2
    assert audit(lookups.ledger) == []


# -- choice of the account


def test_a_lookup_is_charged_before_its_call_and_followed_by_a_gap(
    ledger_with: LedgerFactory,
) -> None:
    lookups = LookupHarness(ledger_with(reader=limits(lookup=limited())), "reader")
    job_id = lookups.request_new("a")
    assert spent_ms(lookups.ledger, "lookup", "reader") == []
    claim = lookups.ledger.claim(job_id)
    assert len(spent_ms(lookups.ledger, "lookup", "reader")) == 1
    # A lookup that was never sent is refunded
    step = lookups.ledger.claims.release(claim, Status.QUEUED, "r", charge="free", sent=False)
    lookups.ledger.run(step)
    assert (
        spent_ms(lookups.ledger, "lookup", "reader"),
        gap_ends_ms(lookups.ledger, "lookup", "reader"),
    ) == ([], 0)
    finish_lookup(lookups.ledger, job_id)
    assert len(spent_ms(lookups.ledger, "lookup", "reader")) == 1
    assert gap_ends_ms(lookups.ledger, "lookup", "reader") > 0


def test_the_account_with_most_budget_left_is_picked_counting_queued_lookups(
    ledger_with: LedgerFactory,
) -> None:
    few, many = limits(lookup=limited(3)), limits(lookup=limited(5))
    lookups = LookupHarness(ledger_with(few=few, many=many, writer=limits()), "few", "many")
    states = [lookups.request(f"u{number}") for number in range(20)]
    accounts = [lookups.ledger.record(state.job_id).account for state in states if state.job_id]
    assert accounts[:2] == ["many", "many"]
    # One job of each account has its turn, and is not queued
    assert (accounts.count("few"), accounts.count("many")) == (4, 6)
    assert [state.unavailable.reason for state in states if state.unavailable] == [
        "lookup_per_hour"
    ] * 10
    assert audit(lookups.ledger) == []


@pytest.mark.parametrize("paces", [{}, {"lookup": limited(9)}], ids=["unlimited", "limited"])
def test_exports_are_spread_over_the_accounts(ledger_with: LedgerFactory, paces: Any) -> None:
    ledger = ledger_with(**{name: limits(**paces) for name in ("a", "b", "c")})

    exports = [
        add_export(ledger, to=f"user{number}", candidate_accounts=("a", "b", "c"))
        for number in range(6)
    ]

    # Accounts with a turn or a queued export come after those without
    accounts = [ledger.record(job_id).account for job_id in exports]
    assert sorted(accounts[:3]) == ["a", "b", "c"]
    if paces:
        assert sorted(accounts[3:]) == ["a", "b", "c"]
    assert audit(ledger) == []


def test_when_all_accounts_are_limited_the_answer_says_until_when(
    ledger_with: LedgerFactory,
) -> None:
    lookups = LookupHarness(ledger_with(reader=limits(lookup=limited(2))), "reader")
    for name in ("a", "b"):
        finish_lookup(lookups.ledger, lookups.request_new(name))
        lookups.ledger.pass_time(10 * MINUTE)
        lookups.ledger.heartbeat()
    unavailable = lookups.request("c").unavailable
    assert unavailable is not None
    assert (unavailable.reason, unavailable.since_ms) == ("lookup_per_hour", 0)
    # The first lookup leaves the window first
    assert unavailable.seconds == pytest.approx(HOUR / SECOND - 20 * 60, abs=5)
    lookups.ledger.pass_time(41 * MINUTE)
    assert lookups.request("c").job_id is not None


def test_of_unavailable_accounts_the_first_available_one_is_named(
    ledger_with: LedgerFactory,
) -> None:
    ledger = ledger_with(held=limits(), late=limits(), soon=limits())
    lookups = LookupHarness(ledger, "held", "late", "soon")
    cooldowns = {"late": 2 * HOUR, "soon": HOUR}
    for name, ms in cooldowns.items():
        effect = AccountEffect(cooldown="please_wait", cooldown_ms=ms)
        ledger.release(ledger.claim(ledger.add_job(account=name)), Status.WAITING, effect=effect)
    ledger.run(ledger.controls.pause("held"))
    unavailable = lookups.request("a").unavailable
    assert unavailable is not None
    assert unavailable.reason == "please_wait"
    assert unavailable.seconds == pytest.approx(3600, abs=5)
    # When only a person can make one available
    for name in cooldowns:
        ledger.run(ledger.controls.pause(name))
    unavailable = lookups.request("a").unavailable
    assert unavailable is not None
    assert (unavailable.reason, unavailable.seconds, unavailable.since_ms > 0) == (
        "paused",
        None,
        True,
    )


def test_quiet_hours_do_not_stop_lookups(ledger_with: LedgerFactory) -> None:
    always = QuietHours(0, 1439, "UTC")
    lookups = LookupHarness(ledger_with(reader=limits(quiet=always)), "reader")
    assert lookups.request("a").job_id is not None


def test_a_lookup_runs_before_waiting_writes(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=limits())
    lookups = LookupHarness(ledger, "shop")
    first, second = ledger.add_job(), ledger.add_job(priority=8)
    lookup = lookups.request_new("a")
    ledger.finish(ledger.claim_and_send(first))
    assert ledger.turn() == lookup
    finish_lookup(ledger, lookup)
    assert ledger.turn() == second


def test_a_lookup_of_an_unavailable_account_moves_to_an_available_one(
    ledger_with: LedgerFactory,
) -> None:
    ledger = ledger_with(reader=limits(), other=limits())
    lookups = LookupHarness(ledger, "reader", "other")
    busy = lookups.request_new("busy")
    account = ledger.record(busy).account
    waiting = next(
        name
        for name in (f"u{n}" for n in range(9))
        if ledger.record(lookups.request_new(name)).account == account
    )
    before = lookups.request_new(waiting)
    ledger.run(ledger.controls.pause(account))
    state = lookups.state(waiting)
    assert (state.job_id, state.unavailable is None) == (before, False)
    after = lookups.request_new(waiting)
    assert ledger.record(after).account != account
    assert ledger.status(before) is Status.CANCELED
    assert audit(ledger) == []


def test_a_running_lookup_is_awaited_even_if_its_account_becomes_unavailable(
    ledger_with: LedgerFactory,
) -> None:
    ledger = ledger_with(reader=limits(), other=limits())
    lookups = LookupHarness(ledger, "reader", "other")
    job_id = lookups.request_new("a")
    claim = ledger.claim(job_id)
    ledger.run(ledger.controls.pause(claim.job.account))
    assert (lookups.request("a").job_id, lookups.request("a").unavailable) == (job_id, None)


def test_a_retried_lookup_fills_the_cache(ledger_with: LedgerFactory) -> None:
    lookups = LookupHarness(ledger_with(reader=limits()), "reader")
    job_id = lookups.request_new("a")
    fail_lookup(lookups.ledger, job_id, "timed_out")
    assert lookups.ledger.run(lookups.ledger.core.retry(job_id, "test")) == "ok"
    found = finish_lookup(lookups.ledger, job_id)
    state = lookups.state("a")
    assert state.value is not None
    assert (json.loads(state.value.body), state.problem) == (found, None)
