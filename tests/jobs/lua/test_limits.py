"""Limits: from the configuration to the scripts, and as the API shows them."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest
import redis

from service.config.config import parse_config
from service.config.pacing import DEFAULTS, NEW_ACCOUNT, Pace, PaceKind
from service.jobs.lua.limits import AccountLimits, Limits, QuietHours, clock_changes
from tests.support.ledger import DAY, HOUR, LedgerHarness
from tests.support.limited_ledger import (
    SLACK,
    LedgerFactory,
    alarm_ms,
    ledger_factory,
    limits,
    ms_of,
    now_ms,
    pace,
    send,
    spent_ms,
    times_with_limits,
    wait_of,
)
from tests.support.lua import evaluate

CONFIGURED = """\
[accounts.shop]
username = "a"
password = "b"
since = 2026-01-01
quiet_hours = ["22:00", "08:30"]
timezone = "Europe/Paris"
callback = "crm"
[accounts.shop.pacing.dm]
per_day = 20
[accounts.studio]
username = "c"
password = "d"
[pacing]
repeat_days = 3
[pacing.comment]
gap_seconds = [60.5, 90]
[callbacks.crm]
url = "https://crm.example/hook"
secrets = ["env:CALLBACK_SECRET"]
"""
NAMES = ("dm", "dm_new_thread", "comment", "lookup")


@pytest.fixture
def ledger_with(store: redis.Redis, store_url: str) -> Iterator[LedgerFactory]:
    assert store.dbsize() == 0
    with ledger_factory(store_url) as ledger_with:
        yield ledger_with


# -- configuration


def test_limits_come_from_the_configuration() -> None:
    limits = Limits.of(parse_config(CONFIGURED))

    shop = limits.accounts["shop"]
    assert shop.paces["dm"] == DEFAULTS["dm"].model_copy(update={"per_day": 20})
    assert shop.since_ms == datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC).timestamp() * 1000
    assert shop.quiet == QuietHours(22 * 60, 8 * 60 + 30, "Europe/Paris")
    assert shop.callback == "crm"
    studio = limits.accounts["studio"]
    assert (studio.since_ms, studio.quiet, studio.callback) == (None, None, None)
    assert studio.paces["comment"].gap_seconds == (60.5, 90)
    assert limits.repeat_ms == 3 * DAY


def test_an_account_unknown_to_this_process_has_the_default_limits() -> None:
    assert Limits.of(parse_config(CONFIGURED)).default == AccountLimits(DEFAULTS)


# -- scripts


def test_the_scripts_read_the_configured_limits(store: redis.Redis) -> None:
    configured = Limits.of(parse_config(CONFIGURED))
    script_config = times_with_limits(configured.repeat_ms, **configured.accounts)

    def read(expression: str) -> object:
        return evaluate(store, f"({expression}) or 'nothing'", config=script_config)

    assert read("config_of('shop').since") == configured.accounts["shop"].since_ms
    assert read("config_of('shop').callback") == b"crm"
    assert read(
        "config_of('studio').callback or config_of('studio').since or config_of('studio').quiet"
    ) == (b"nothing")
    quiet = "config_of('shop').quiet"
    assert read(f"{{{quiet}.from, {quiet}.to, {quiet}.zone}}") == [1320, 510, b"Europe/Paris"]
    assert read("CONF.repeats") == 3 * DAY
    comment = "config_of('shop').limits.comment"
    assert read(f"{{{comment}.gap[1], {comment}.gap[2], {comment}.per_hour, {comment}.per_day}}")
    assert read(f"{{{comment}.gap[1], {comment}.gap[2]}}") == [60_500, 90_000]
    assert read("config_of('shop').limits.dm.per_day") == 20


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/St_Johns", "Australia/Lord_Howe"])
def test_clock_changes_match_the_time_zone(zone: str) -> None:
    # Given a zone with two clock changes a year
    (first, _), *changes = clock_changes(zone)
    here = ZoneInfo(zone)

    def offset_ms(moment_ms: int) -> int:
        offset = datetime.datetime.fromtimestamp(moment_ms / 1000, here).utcoffset()
        assert offset is not None
        return round(offset.total_seconds() * 1000)

    # Then the list begins before now, and is exact to the millisecond
    assert first < datetime.datetime.now(datetime.UTC).timestamp() * 1000 - HOUR
    assert 5 <= len(changes) <= 10
    for at, offset in changes:
        assert offset_ms(at) == offset != offset_ms(at - 1)


def test_a_zone_without_clock_changes_has_one_offset() -> None:
    [(_, offset)] = clock_changes("Asia/Kolkata")
    assert offset == 5.5 * HOUR


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/St_Johns", "Asia/Kolkata"])
def test_the_scripts_know_a_time_zones_offset_at_any_time(store: redis.Redis, zone: str) -> None:
    script_config = times_with_limits(shop=limits(quiet=QuietHours(0, 60, zone)))
    listed = clock_changes(zone)
    moments = [now_ms(store), *(ms + near for ms, _ in listed[1:] for near in (-1, 0, 1))]

    for at in moments:
        expected = [offset for ms, offset in listed if ms <= at][-1]
        found = evaluate(
            store, f"utc_offset('{zone}', tonumber(ARGV[1]))", at, config=script_config
        )
        assert found == expected


# -- ramp of new accounts


@pytest.mark.parametrize("day", [0, 13])
def test_a_new_account_has_lower_limits_for_two_weeks(
    store: redis.Redis, ledger_with: LedgerFactory, day: int
) -> None:
    since = now_ms(store) - day * DAY - HOUR
    slower: dict[PaceKind, Pace] = {"comment": pace(per_hour=1, per_day=1)}
    shown = _budgets(ledger_with(shop=AccountLimits(DEFAULTS | slower, since_ms=since)))

    expected = NEW_ACCOUNT | slower
    assert shown == {kind: (own.per_hour, own.per_day) for kind, own in expected.items()}


def test_after_two_weeks_an_account_has_its_own_limits(
    store: redis.Redis, ledger_with: LedgerFactory
) -> None:
    since = now_ms(store) - 14 * DAY
    shown = _budgets(ledger_with(shop=AccountLimits(DEFAULTS, since_ms=since)))

    assert shown == {kind: (own.per_hour, own.per_day) for kind, own in DEFAULTS.items()}


def _budgets(ledger: LedgerHarness) -> dict[str, tuple[int, int]]:
    budgets = ledger.run(ledger.controls.show("shop"))["budgets"]
    return {
        kind: (row["per_hour"]["limit"], row["per_day"]["limit"]) for kind, row in budgets.items()
    }


def test_a_new_account_stops_at_its_lower_limit(
    store: redis.Redis, ledger_with: LedgerFactory
) -> None:
    ledger = ledger_with(shop=limits(since_ms=now_ms(store), dm=pace(per_hour=10, per_day=40)))
    for _ in range(NEW_ACCOUNT["dm"].per_hour):
        send(ledger, ledger.add_job())

    assert wait_of(ledger, ledger.add_job())[0] == "dm_per_hour"


def test_a_waiting_job_runs_as_soon_as_the_two_weeks_are_over(
    store: redis.Redis, ledger_with: LedgerFactory
) -> None:
    since = now_ms(store) - 14 * DAY + HOUR // 6
    ledger = ledger_with(shop=limits(since_ms=since))
    for _ in range(NEW_ACCOUNT["dm"].per_hour):
        send(ledger, ledger.add_job())

    ledger.add_job()

    assert alarm_ms(ledger) == since + 14 * DAY


# -- API


def test_an_account_shows_its_used_budget_and_next_slot(
    ledger_with: LedgerFactory,
) -> None:
    ledger = ledger_with(
        shop=limits(dm=pace(per_hour=2, per_day=9), comment=pace((1, 2), per_hour=7))
    )
    send(ledger, ledger.add_job())
    ledger.pass_time(2 * HOUR)
    for _ in range(2):
        send(ledger, ledger.add_job())

    budgets = ledger.run(ledger.controls.show("shop"))["budgets"]

    dm, comment = budgets["dm"], budgets["comment"]
    assert dm["per_hour"] == {"used": 2, "limit": 2}
    assert dm["per_day"] == {"used": 3, "limit": 9}
    assert dm["limited_by"] == "dm_per_hour"
    assert ms_of(dm["next_slot"]) == spent_ms(ledger)[1] + HOUR
    assert (comment["gap_seconds"], comment["limited_by"]) == ([1, 2], None)
    assert comment["per_hour"] == {"used": 0, "limit": 7}
    assert abs(ms_of(comment["next_slot"]) - now_ms(ledger.store)) < SLACK


def test_a_waiting_job_shows_what_it_waits_for(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=limits(dm=pace((60, 60), per_hour=10)))
    holder = ledger.claim(ledger.add_job())
    waiters = [ledger.add_job() for _ in range(3)]
    waits = [wait_of(ledger, job_id) for job_id in waiters]
    assert [(reason, place) for reason, _, place in waits] == [
        ("turn", 0),
        ("turn", 1),
        ("turn", 2),
    ]
    assert [until > now_ms(ledger.store) for _, until, _ in waits] == [True] * 3

    assert ledger.record_intent(holder) == "ok"
    assert ledger.finish(holder)

    waits = [wait_of(ledger, job_id) for job_id in waiters]
    assert [reason for reason, _, _ in waits] == ["dm_gap"] * 3
    [first, second, third] = [until for _, until, _ in waits]
    assert (second - first, third - second) == (60_000, 60_000), "one gap per job"


def test_a_job_waiting_behind_a_pause_has_an_estimate_too(ledger_with: LedgerFactory) -> None:
    # Given queued jobs that a pause has not held yet
    ledger = ledger_with(shop=limits())
    holder, *waiters = ledger.add_jobs(5)
    ledger.claim(holder)
    ledger.run(ledger.controls.pause("shop"))

    assert [wait_of(ledger, job_id)[0] for job_id in waiters] == ["paused"] * 4


def test_all_processes_of_a_year_have_the_same_scripts() -> None:
    limits = Limits.of(parse_config(CONFIGURED))
    first = limits.as_lua()
    clock_changes.cache_clear()

    assert limits.as_lua() == first
    begin, _ = clock_changes("Europe/Paris")[0]
    at = datetime.datetime.fromtimestamp(begin / 1000, datetime.UTC)
    assert (at.month, at.day, at.hour) == (1, 1, 0)
