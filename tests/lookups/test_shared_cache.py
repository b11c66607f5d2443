"""One look-up for all who ask: who looks, what is kept of it, and what is told meanwhile."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis

from service.config.pacing import Pace
from service.jobs.claims import AccountEffect
from service.jobs.lua.limits import QuietHours
from service.jobs.model import Status
from tests.support.follower_rows import add_export
from tests.support.invariants import audit
from tests.support.ledger import DAY, HOUR, SECOND
from tests.support.limited_ledger import LedgerFactory, gap_ends_ms, limits, pace, spent_ms
from tests.support.lookups import LookupHarness, fail_lookup, finish_lookup

MINUTE = 60 * SECOND


def slow(per_hour: int = 60) -> Pace:
    return pace((3, 6), per_hour=per_hour, per_day=1000)


def found_of(store: redis.Redis, name: str) -> dict[bytes, bytes]:
    fields: Any = store.hgetall(f"hg:found:user:{name}")
    return dict(fields)


def test_all_who_ask_are_told_of_one_job(ledger_with: LedgerFactory) -> None:
    eyes = LookupHarness(ledger_with(eyes=limits()), "eyes")
    first = eyes.request("a")
    assert (first.value, first.problem, first.unavailable) == (None, None, None)
    assert {eyes.request("a").job_id for _ in range(3)} == {first.job_id}
    assert eyes.request("b").job_id != first.job_id
    assert eyes.state("a").job_id == first.job_id
    assert eyes.state("c").job_id is None
    assert audit(eyes.ledger) == []


def test_what_a_look_up_finds_is_everybodys_until_it_is_stale(ledger_with: LedgerFactory) -> None:
    eyes = LookupHarness(ledger_with(eyes=limits()), "eyes")
    job_id = eyes.request_new("a")
    found = finish_lookup(eyes.ledger, job_id)
    seen = eyes.request("a")
    assert seen.value is not None
    assert (json.loads(seen.value.body), seen.job_id) == (found, None)
    eyes.ledger.pass_time(300 * SECOND)
    again = eyes.request("a")
    assert again.value is not None
    assert again.value.body == seen.value.body
    assert again.value.age_ms >= 300 * SECOND
    assert again.job_id not in (None, job_id)
    assert audit(eyes.ledger) == []


def test_a_copy_and_its_look_up_are_forgotten_in_time(
    ledger_with: LedgerFactory, store: redis.Redis
) -> None:
    eyes = LookupHarness(ledger_with(eyes=limits()), "eyes")
    job_id = eyes.request_new("a")
    finish_lookup(eyes.ledger, job_id)
    # The job goes after a day, the copy after a week without another
    eyes.ledger.pass_time(DAY - SECOND)
    assert eyes.ledger.run(eyes.ledger.core.prune()) == 0
    eyes.ledger.pass_time(2 * SECOND)
    assert eyes.ledger.run(eyes.ledger.core.prune()) == 1
    assert eyes.ledger.run(eyes.ledger.queries.job(job_id)) is None
    assert eyes.state("a").value is not None
    eyes.ledger.pass_time(6 * DAY)
    assert found_of(store, "a") == {}
    assert audit(eyes.ledger) == []


@pytest.mark.parametrize("gone", [True, False])
def test_a_failure_is_kept_for_a_minute_and_only_the_targets_own_takes_the_copy(
    ledger_with: LedgerFactory, gone: bool
) -> None:
    eyes = LookupHarness(ledger_with(eyes=limits()), "eyes")
    finish_lookup(eyes.ledger, eyes.request_new("a"))
    eyes.ledger.pass_time(301 * SECOND)
    fail_lookup(eyes.ledger, eyes.request_new("a"), "user_not_found" if gone else "timed_out")
    seen = eyes.request("a")
    assert (seen.value is None, seen.job_id) == (gone, None)
    assert seen.problem is not None
    assert 55 < seen.retry_seconds <= 60
    eyes.ledger.pass_time(MINUTE)
    assert eyes.request("a").job_id is not None


def test_the_next_look_up_that_succeeds_ends_a_failure(
    ledger_with: LedgerFactory, store: redis.Redis
) -> None:
    eyes = LookupHarness(ledger_with(eyes=limits()), "eyes")
    fail_lookup(eyes.ledger, eyes.request_new("a"), "timed_out")
    assert 0 < store.pttl("hg:found:user:a") <= MINUTE
    eyes.ledger.pass_time(MINUTE)
    finish_lookup(eyes.ledger, eyes.request_new("a"))
    assert {name.decode() for name in found_of(store, "a")} == {"body", "etag", "at"}
    assert store.pttl("hg:found:user:a") > 6 * DAY


@pytest.mark.parametrize("how", ["canceled", "expired", "forgotten"])
def test_a_look_up_that_ends_otherwise_lets_the_next_one_begin(
    ledger_with: LedgerFactory, store: redis.Redis, how: str
) -> None:
    eyes = LookupHarness(ledger_with(eyes=limits()), "eyes")
    eyes.request_new("busy")
    job_id = eyes.request_new("a")
    if how == "canceled":
        eyes.ledger.run(eyes.ledger.core.cancel(job_id, "test"))
    elif how == "expired":
        eyes.ledger.pass_time(5 * MINUTE)
        eyes.ledger.heartbeat()
        assert eyes.ledger.status(job_id) is Status.EXPIRED
    else:
        store.delete(f"hg:job:{job_id}")
    assert (eyes.state("a").job_id, found_of(store, "a")) == (None, {})
    assert eyes.request_new("a") != job_id


def test_a_worker_that_dies_leaves_the_look_up_to_another(ledger_with: LedgerFactory) -> None:
    eyes = LookupHarness(ledger_with(eyes=limits(lookup=slow())), "eyes")
    job_id = eyes.request_new("a")
    eyes.ledger.claim(job_id)
    eyes.ledger.pass_time(11 * SECOND)
    eyes.ledger.heartbeat()
    assert eyes.state("a").job_id == job_id
    eyes.ledger.pass_time(10 * SECOND)
    eyes.ledger.heartbeat()
    finish_lookup(eyes.ledger, job_id)
    assert eyes.state("a").value is not None
    # Both calls may have been made
    assert len(spent_ms(eyes.ledger, "lookup", "eyes")) == 2
    assert audit(eyes.ledger) == []


# Who looks


def test_a_look_up_is_charged_before_its_call_and_a_gap_follows_it(
    ledger_with: LedgerFactory,
) -> None:
    eyes = LookupHarness(ledger_with(eyes=limits(lookup=slow())), "eyes")
    job_id = eyes.request_new("a")
    assert spent_ms(eyes.ledger, "lookup", "eyes") == []
    claim = eyes.ledger.claim(job_id)
    assert len(spent_ms(eyes.ledger, "lookup", "eyes")) == 1
    # One that was never sent is given back
    step = eyes.ledger.claims.release(claim, Status.QUEUED, "r", charge="free", sent=False)
    eyes.ledger.run(step)
    assert (
        spent_ms(eyes.ledger, "lookup", "eyes"),
        gap_ends_ms(eyes.ledger, "lookup", "eyes"),
    ) == ([], 0)
    finish_lookup(eyes.ledger, job_id)
    assert len(spent_ms(eyes.ledger, "lookup", "eyes")) == 1
    assert gap_ends_ms(eyes.ledger, "lookup", "eyes") > 0


def test_the_reader_with_most_left_looks_and_those_in_line_count(
    ledger_with: LedgerFactory,
) -> None:
    few, many = limits(lookup=slow(3)), limits(lookup=slow(5))
    eyes = LookupHarness(ledger_with(few=few, many=many, writer=limits()), "few", "many")
    looked = [eyes.request(f"u{number}") for number in range(20)]
    accounts = [eyes.ledger.record(each.job_id).account for each in looked if each.job_id]
    assert accounts[:2] == ["many", "many"]
    # One of each has its turn, and stands in no line
    assert (accounts.count("few"), accounts.count("many")) == (4, 6)
    assert [each.unavailable.reason for each in looked if each.unavailable] == [
        "lookup_per_hour"
    ] * 10
    assert audit(eyes.ledger) == []


@pytest.mark.parametrize("paces", [{}, {"lookup": slow(9)}], ids=["unlimited", "limited"])
def test_walks_in_a_row_are_shared_among_the_readers(
    ledger_with: LedgerFactory, paces: Any
) -> None:
    ledger = ledger_with(**{name: limits(**paces) for name in ("a", "b", "c")})

    walks = [
        add_export(ledger, to=f"user{number}", candidate_accounts=("a", "b", "c"))
        for number in range(6)
    ]

    # Whoever has a turn, or a walk in line, comes after who has none
    accounts = [ledger.record(job_id).account for job_id in walks]
    assert sorted(accounts[:3]) == ["a", "b", "c"]
    if paces:
        assert sorted(accounts[3:]) == ["a", "b", "c"]
    assert audit(ledger) == []


def test_where_all_have_done_enough_it_is_told_when_there_is_room(
    ledger_with: LedgerFactory,
) -> None:
    eyes = LookupHarness(ledger_with(eyes=limits(lookup=slow(2))), "eyes")
    for name in ("a", "b"):
        finish_lookup(eyes.ledger, eyes.request_new(name))
        eyes.ledger.pass_time(10 * MINUTE)
        eyes.ledger.heartbeat()
    shut = eyes.request("c").unavailable
    assert shut is not None
    assert (shut.reason, shut.since_ms) == ("lookup_per_hour", 0)
    # Room comes with the first of them
    assert shut.seconds == pytest.approx(HOUR / SECOND - 20 * 60, abs=5)
    eyes.ledger.pass_time(41 * MINUTE)
    assert eyes.request("c").job_id is not None


def test_of_those_that_are_shut_the_first_to_open_is_told(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(held=limits(), late=limits(), soon=limits())
    eyes = LookupHarness(ledger, "held", "late", "soon")
    rests = {"late": 2 * HOUR, "soon": HOUR}
    for name, ms in rests.items():
        effect = AccountEffect(cooldown="please_wait", cooldown_ms=ms)
        ledger.release(ledger.claim(ledger.add_job(account=name)), Status.WAITING, effect=effect)
    ledger.run(ledger.controls.pause("held"))
    shut = eyes.request("a").unavailable
    assert shut is not None
    assert shut.reason == "please_wait"
    assert shut.seconds == pytest.approx(3600, abs=5)
    # When only a person can open one of them
    for name in rests:
        ledger.run(ledger.controls.pause(name))
    shut = eyes.request("a").unavailable
    assert shut is not None
    assert (shut.reason, shut.seconds, shut.since_ms > 0) == ("paused", None, True)


def test_quiet_hours_are_for_writing(ledger_with: LedgerFactory) -> None:
    always = QuietHours(0, 1439, "UTC")
    eyes = LookupHarness(ledger_with(eyes=limits(quiet=always)), "eyes")
    assert eyes.request("a").job_id is not None


def test_a_look_up_goes_ahead_of_what_waits_to_be_written(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=limits())
    eyes = LookupHarness(ledger, "shop")
    first, second = ledger.add_job(), ledger.add_job(priority=8)
    look = eyes.request_new("a")
    ledger.finish(ledger.claim_and_send(first))
    assert ledger.turn() == look
    finish_lookup(ledger, look)
    assert ledger.turn() == second


def test_a_look_up_before_a_shut_account_goes_to_one_that_is_open(
    ledger_with: LedgerFactory,
) -> None:
    ledger = ledger_with(eyes=limits(), ears=limits())
    eyes = LookupHarness(ledger, "eyes", "ears")
    busy = eyes.request_new("busy")
    account = ledger.record(busy).account
    waiting = next(
        name
        for name in (f"u{n}" for n in range(9))
        if ledger.record(eyes.request_new(name)).account == account
    )
    before = eyes.request_new(waiting)
    ledger.run(ledger.controls.pause(account))
    seen = eyes.state(waiting)
    assert (seen.job_id, seen.unavailable is None) == (before, False)
    after = eyes.request_new(waiting)
    assert ledger.record(after).account != account
    assert ledger.status(before) is Status.CANCELED
    assert audit(ledger) == []


def test_a_look_up_that_runs_is_waited_for_though_its_account_was_shut(
    ledger_with: LedgerFactory,
) -> None:
    ledger = ledger_with(eyes=limits(), ears=limits())
    eyes = LookupHarness(ledger, "eyes", "ears")
    job_id = eyes.request_new("a")
    claim = ledger.claim(job_id)
    ledger.run(ledger.controls.pause(claim.job.account))
    assert (eyes.request("a").job_id, eyes.request("a").unavailable) == (job_id, None)


def test_a_repeated_look_up_tells_everybody_what_it_finds(ledger_with: LedgerFactory) -> None:
    eyes = LookupHarness(ledger_with(eyes=limits()), "eyes")
    job_id = eyes.request_new("a")
    fail_lookup(eyes.ledger, job_id, "timed_out")
    assert eyes.ledger.run(eyes.ledger.core.retry(job_id, "test")) == "ok"
    found = finish_lookup(eyes.ledger, job_id)
    seen = eyes.state("a")
    assert seen.value is not None
    assert (json.loads(seen.value.body), seen.problem) == (found, None)
