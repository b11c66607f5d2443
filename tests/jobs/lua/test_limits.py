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
from tests.support.ledgers import DAY, HOUR, Books
from tests.support.lua import evaluate
from tests.support.pacing import (
    SLACK,
    Opener,
    alarm,
    ledgers,
    ms_of,
    now_ms,
    pace,
    spent,
    terms,
    times,
    wait_of,
    write,
)

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
def opened(store: redis.Redis, store_url: str) -> Iterator[Opener]:
    assert store.dbsize() == 0
    with ledgers(store_url) as opened:
        yield opened


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
    assert Limits.of(parse_config(CONFIGURED)).others == AccountLimits(DEFAULTS)


# -- as the scripts read it


def test_the_scripts_read_what_the_configuration_asks_for(store: redis.Redis) -> None:
    asked = Limits.of(parse_config(CONFIGURED))
    terms_of = times(asked.repeat_ms, **asked.accounts)

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
    terms_of = times(shop=terms(quiet=QuietHours(0, 60, zone)))
    listed = clock_changes(zone)
    moments = [now_ms(store), *(ms + near for ms, _ in listed[1:] for near in (-1, 0, 1))]

    for moment in moments:
        expected = [offset for ms, offset in listed if ms <= moment][-1]
        found = evaluate(store, f"utc_offset('{zone}', tonumber(ARGV[1]))", moment, config=terms_of)
        assert found == expected


# -- ramp


@pytest.mark.parametrize("day", [0, 13])
def test_a_new_account_is_held_to_less_for_a_fortnight(
    store: redis.Redis, opened: Opener, day: int
) -> None:
    since = now_ms(store) - day * DAY - HOUR
    slower: dict[PaceKind, Pace] = {"comment": pace(per_hour=1, per_day=1)}
    shown = _budgets(opened(shop=AccountLimits(DEFAULTS | slower, since_ms=since)))

    expected = NEW_ACCOUNT | slower
    assert shown == {kind: (own.per_hour, own.per_day) for kind, own in expected.items()}


def test_after_its_fortnight_an_account_has_its_own_pace(
    store: redis.Redis, opened: Opener
) -> None:
    since = now_ms(store) - 14 * DAY
    shown = _budgets(opened(shop=AccountLimits(DEFAULTS, since_ms=since)))

    assert shown == {kind: (own.per_hour, own.per_day) for kind, own in DEFAULTS.items()}


def _budgets(books: Books) -> dict[str, tuple[int, int]]:
    budgets = books.run(books.doors.show("shop"))["budgets"]
    return {
        kind: (row["per_hour"]["limit"], row["per_day"]["limit"]) for kind, row in budgets.items()
    }


def test_a_new_account_stops_at_the_number_for_new_ones(store: redis.Redis, opened: Opener) -> None:
    books = opened(shop=terms(since_ms=now_ms(store), dm=pace(per_hour=10, per_day=40)))
    for _ in range(NEW_ACCOUNT["dm"].per_hour):
        write(books, books.job())

    assert wait_of(books, books.job())[0] == "dm_per_hour"


def test_who_waits_goes_as_soon_as_the_fortnight_is_over(
    store: redis.Redis, opened: Opener
) -> None:
    since = now_ms(store) - 14 * DAY + HOUR // 6
    books = opened(shop=terms(since_ms=since))
    for _ in range(NEW_ACCOUNT["dm"].per_hour):
        write(books, books.job())

    books.job()

    assert alarm(books) == since + 14 * DAY


# -- shown


def test_an_account_shows_what_it_has_spent_and_when_it_may_go_on(opened: Opener) -> None:
    books = opened(shop=terms(dm=pace(per_hour=2, per_day=9), comment=pace((1, 2), per_hour=7)))
    write(books, books.job())
    books.pass_time(2 * HOUR)
    for _ in range(2):
        write(books, books.job())

    budgets = books.run(books.doors.show("shop"))["budgets"]

    dm, comment = budgets["dm"], budgets["comment"]
    assert dm["per_hour"] == {"used": 2, "limit": 2}
    assert dm["per_day"] == {"used": 3, "limit": 9}
    assert dm["limited_by"] == "dm_per_hour"
    assert ms_of(dm["next_slot"]) == spent(books)[1] + HOUR
    assert (comment["gap_seconds"], comment["limited_by"]) == ([1, 2], None)
    assert comment["per_hour"] == {"used": 0, "limit": 7}
    assert abs(ms_of(comment["next_slot"]) - now_ms(books.store)) < SLACK


def test_a_waiting_job_says_what_it_waits_for(opened: Opener) -> None:
    books = opened(shop=terms(dm=pace((60, 60), per_hour=10)))
    holder = books.claim(books.job())
    waiters = [books.job() for _ in range(3)]
    places = [wait_of(books, job_id) for job_id in waiters]
    assert [(reason, place) for reason, _, place in places] == [
        ("turn", 0),
        ("turn", 1),
        ("turn", 2),
    ]
    assert [until > now_ms(books.store) for _, until, _ in places] == [True] * 3

    assert books.intend(holder) == "ok"
    assert books.finish(holder)

    places = [wait_of(books, job_id) for job_id in waiters]
    assert [reason for reason, _, _ in places] == ["dm_gap"] * 3
    [first, second, third] = [until for _, until, _ in places]
    assert (second - first, third - second) == (60_000, 60_000), "one gap each"


def test_a_job_that_waits_behind_a_pause_has_an_estimate_too(opened: Opener) -> None:
    # Given more jobs in line than are held in one step
    books = opened(shop=terms())
    holder, *waiters = books.many(5)
    books.claim(holder)
    books.run(books.doors.pause("shop"))

    assert [wait_of(books, job_id)[0] for job_id in waiters] == ["paused"] * 4


def test_the_scripts_are_the_same_for_every_process_of_a_year() -> None:
    limits = Limits.of(parse_config(CONFIGURED))
    first = limits.as_lua()
    clock_changes.cache_clear()

    assert limits.as_lua() == first
    begin, _ = clock_changes("Europe/Paris")[0]
    moment = datetime.datetime.fromtimestamp(begin / 1000, datetime.UTC)
    assert (moment.month, moment.day, moment.hour) == (1, 1, 0)
