"""Limits: what the configuration asks for, as the scripts read it, and as an account shows it."""

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


# -- what the configuration asks for


def test_limits_are_the_configurations() -> None:
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


def test_an_account_that_only_another_process_knows_has_the_default_pace() -> None:
    assert Limits.of(parse_config(CONFIGURED)).default == AccountLimits(DEFAULTS)


# -- as the scripts read it


def test_the_scripts_read_what_the_configuration_asks_for(store: redis.Redis) -> None:
    asked = Limits.of(parse_config(CONFIGURED))
    terms_of = times_with_limits(asked.repeat_ms, **asked.accounts)

    def read(expression: str) -> object:
        return evaluate(store, f"({expression}) or 'nothing'", config=terms_of)

    assert read("config_of('shop').since") == asked.accounts["shop"].since_ms
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
def test_clock_changes_are_those_of_the_zone(zone: str) -> None:
    # Given a zone whose clocks change twice a year
    (first, _), *changes = clock_changes(zone)
    here = ZoneInfo(zone)

    def offset_ms(moment_ms: int) -> int:
        offset = datetime.datetime.fromtimestamp(moment_ms / 1000, here).utcoffset()
        assert offset is not None
        return round(offset.total_seconds() * 1000)

    # Then the list begins before now, and is exact to the millisecond
    assert first < datetime.datetime.now(datetime.UTC).timestamp() * 1000 - HOUR
    assert 5 <= len(changes) <= 10
    for moment, offset in changes:
        assert offset_ms(moment) == offset != offset_ms(moment - 1)


def test_a_zone_without_clock_changes_has_one_offset() -> None:
    [(_, offset)] = clock_changes("Asia/Kolkata")
    assert offset == 5.5 * HOUR


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/St_Johns", "Asia/Kolkata"])
def test_the_scripts_know_a_zone_s_offset_at_any_moment(store: redis.Redis, zone: str) -> None:
    terms_of = times_with_limits(shop=limits(quiet=QuietHours(0, 60, zone)))
    listed = clock_changes(zone)
    moments = [now_ms(store), *(ms + near for ms, _ in listed[1:] for near in (-1, 0, 1))]

    for moment in moments:
        expected = [offset for ms, offset in listed if ms <= moment][-1]
        found = evaluate(store, f"utc_offset('{zone}', tonumber(ARGV[1]))", moment, config=terms_of)
        assert found == expected


# -- ramp


@pytest.mark.parametrize("day", [0, 13])
def test_a_new_account_is_held_to_less_for_a_fortnight(
    store: redis.Redis, ledger_with: LedgerFactory, day: int
) -> None:
    since = now_ms(store) - day * DAY - HOUR
    slower: dict[PaceKind, Pace] = {"comment": pace(per_hour=1, per_day=1)}
    shown = _budgets(ledger_with(shop=AccountLimits(DEFAULTS | slower, since_ms=since)))

    expected = NEW_ACCOUNT | slower
    assert shown == {kind: (own.per_hour, own.per_day) for kind, own in expected.items()}


def test_after_its_fortnight_an_account_has_its_own_pace(
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


def test_a_new_account_stops_at_the_number_for_new_ones(
    store: redis.Redis, ledger_with: LedgerFactory
) -> None:
    ledger = ledger_with(shop=limits(since_ms=now_ms(store), dm=pace(per_hour=10, per_day=40)))
    for _ in range(NEW_ACCOUNT["dm"].per_hour):
        send(ledger, ledger.add_job())

    assert wait_of(ledger, ledger.add_job())[0] == "dm_per_hour"


def test_who_waits_goes_as_soon_as_the_fortnight_is_over(
    store: redis.Redis, ledger_with: LedgerFactory
) -> None:
    since = now_ms(store) - 14 * DAY + HOUR // 6
    ledger = ledger_with(shop=limits(since_ms=since))
    for _ in range(NEW_ACCOUNT["dm"].per_hour):
        send(ledger, ledger.add_job())

    ledger.add_job()

    assert alarm_ms(ledger) == since + 14 * DAY


# -- shown


def test_an_account_shows_what_it_has_spent_and_when_it_may_go_on(
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


def test_a_waiting_job_says_what_it_waits_for(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=limits(dm=pace((60, 60), per_hour=10)))
    holder = ledger.claim(ledger.add_job())
    waiters = [ledger.add_job() for _ in range(3)]
    places = [wait_of(ledger, job_id) for job_id in waiters]
    assert [(reason, place) for reason, _, place in places] == [
        ("turn", 0),
        ("turn", 1),
        ("turn", 2),
    ]
    assert [until > now_ms(ledger.store) for _, until, _ in places] == [True] * 3

    assert ledger.record_intent(holder) == "ok"
    assert ledger.finish(holder)

    places = [wait_of(ledger, job_id) for job_id in waiters]
    assert [reason for reason, _, _ in places] == ["dm_gap"] * 3
    [first, second, third] = [until for _, until, _ in places]
    assert (second - first, third - second) == (60_000, 60_000), "one gap each"


def test_a_job_that_waits_behind_a_pause_has_an_estimate_too(ledger_with: LedgerFactory) -> None:
    # Given more jobs in line than are held in one step
    ledger = ledger_with(shop=limits())
    holder, *waiters = ledger.add_jobs(5)
    ledger.claim(holder)
    ledger.run(ledger.controls.pause("shop"))

    assert [wait_of(ledger, job_id)[0] for job_id in waiters] == ["paused"] * 4


def test_the_scripts_are_the_same_for_every_process_of_a_year() -> None:
    limits = Limits.of(parse_config(CONFIGURED))
    first = limits.as_lua()
    clock_changes.cache_clear()

    assert limits.as_lua() == first
    begin, _ = clock_changes("Europe/Paris")[0]
    moment = datetime.datetime.fromtimestamp(begin / 1000, datetime.UTC)
    assert (moment.month, moment.day, moment.hour) == (1, 1, 0)
