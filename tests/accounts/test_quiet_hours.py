"""Quiet hours: nothing is sent, by the account's local time, across clock changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import pytest
import redis

from service.jobs.lua.limits import QuietHours, clock_changes
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.ledger import DAY, SECOND
from tests.support.limited_ledger import (
    SLACK,
    LedgerFactory,
    alarm_ms,
    heartbeat_wakeups,
    ledger_factory,
    limits,
    ms_of,
    now_ms,
    pace,
    pass_until,
    send,
    spent_ms,
    times_with_limits,
    wait_of,
)
from tests.support.lua import evaluate

MINUTE: Final = 60 * SECOND
MINUTES_A_DAY: Final = 24 * 60
#: For each time in ARGV: when the quiet hours it lies in end, 0 outside quiet hours.
ENDS: Final = """(function()
  local ends = {}
  for i, moment in ipairs(ARGV) do
    ends[i] = digits(quiet_until('shop', tonumber(moment)) or 0)
  end
  return ends
end)()"""


@pytest.fixture
def ledger_with(store: redis.Redis, store_url: str) -> Iterator[LedgerFactory]:
    assert store.dbsize() == 0
    with ledger_factory(store_url) as ledger_with:
        yield ledger_with


def zone_at(hour: int) -> str:
    """A time zone in which it is this hour now."""
    ahead = (hour - datetime.now(UTC).hour + 11) % 24 - 11
    return f"Etc/GMT{-ahead:+d}"


def around_now(zone: str, before: int = 120, after: int = 120) -> QuietHours:
    """Quiet hours that began and will end this many minutes from now."""
    now = datetime.now(ZoneInfo(zone))
    minute = now.hour * 60 + now.minute
    return QuietHours((minute - before) % MINUTES_A_DAY, (minute + after) % MINUTES_A_DAY, zone)


def end_of(quiet: QuietHours) -> int:
    """When the current quiet hours end, in a zone without a clock change until then."""
    now = datetime.now(ZoneInfo(quiet.zone))
    end = now.replace(hour=quiet.end // 60, minute=quiet.end % 60, second=0, microsecond=0)
    return round((end if end > now else end + timedelta(days=1)).timestamp() * 1000)


# -- nothing is sent


@pytest.mark.parametrize("hour", [0, 4, 12, 23])
def test_no_turn_is_granted_in_quiet_hours(ledger_with: LedgerFactory, hour: int) -> None:
    # Given quiet hours, across midnight or not
    quiet = around_now(zone_at(hour))
    ledger = ledger_with(shop=limits(quiet=quiet), studio=limits())
    # When there are jobs
    dm, comment = ledger.add_job(), ledger.add_job(kind="comment", to=None, post="Cx")
    assert ledger.take_messages() == []
    # Then they wait, and show until when
    for job_id in (dm, comment):
        assert ledger.try_claim(job_id) is None
        assert wait_of(ledger, job_id) == ("quiet_hours", end_of(quiet), 0)
    assert (alarm_ms(ledger), heartbeat_wakeups(ledger)) == (end_of(quiet), [])
    shown = ledger.run(ledger.controls.show("shop"))
    assert ms_of(shown["quiet_until"]) == end_of(quiet)
    send(ledger, ledger.add_job(account="studio"))
    assert audit(ledger) == []


def test_jobs_run_outside_quiet_hours(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=limits(quiet=around_now("UTC", before=-60, after=120)))

    send(ledger, ledger.add_job())

    assert ledger.run(ledger.controls.show("shop"))["quiet_until"] is None


def test_quiet_hours_follow_the_accounts_time_zone(ledger_with: LedgerFactory) -> None:
    here = around_now("Asia/Kolkata", before=60, after=60)
    elsewhere = QuietHours(here.begin, here.end, "UTC")
    ledger = ledger_with(shop=limits(quiet=here), studio=limits(quiet=elsewhere))

    assert ledger.try_claim(ledger.add_job()) is None
    assert ledger.claim(ledger.add_job(account="studio"))


def test_a_turn_granted_before_quiet_hours_cannot_be_claimed_in_them(
    ledger_with: LedgerFactory,
) -> None:
    before = ledger_with(shop=limits())
    job_id, comment = before.add_job(), before.add_job(kind="comment", to=None, post="Cx")
    quiet = around_now("UTC")
    ledger = ledger_with(shop=limits(quiet=quiet))

    assert ledger.try_claim(job_id) is None

    assert (ledger.turn(), alarm_ms(ledger)) == (None, end_of(quiet))
    assert [wait_of(ledger, waiting)[0] for waiting in (job_id, comment)] == ["quiet_hours"] * 2
    assert audit(ledger) == []


def test_a_job_claimed_before_quiet_hours_does_not_write_in_them(
    ledger_with: LedgerFactory,
) -> None:
    before = ledger_with(shop=limits())
    claim = before.claim(before.add_job())
    ledger = ledger_with(shop=limits(quiet=around_now("UTC")))

    assert ledger.record_intent(claim) == "waiting"

    assert (spent_ms(ledger), ledger.record(claim.id).attempts) == ([], 0)
    assert wait_of(ledger, claim.id)[0] == "quiet_hours"
    assert audit(ledger) == []


def test_a_write_started_before_quiet_hours_may_finish(ledger_with: LedgerFactory) -> None:
    before = ledger_with(shop=limits())
    claim = before.claim_and_send(before.add_job())
    ledger = ledger_with(shop=limits(quiet=around_now("UTC")))

    assert ledger.finish(claim)
    assert audit(ledger) == []


def test_an_unconfirmed_write_is_verified_in_quiet_hours(ledger_with: LedgerFactory) -> None:
    # Given an unconfirmed write
    before = ledger_with(shop=limits())
    claim = before.claim_and_send(before.add_job())
    assert before.release(claim, Status.SENDING) == "ok"
    # When quiet hours begin
    ledger = ledger_with(shop=limits(quiet=around_now("UTC")))
    ledger.heartbeat()
    # Then it is verified, and not sent again
    verification = ledger.claim(claim.id)
    assert verification.verify_first
    assert ledger.release(verification, Status.QUEUED) == "ok"
    assert wait_of(ledger, claim.id)[0] == "quiet_hours"
    assert audit(ledger) == []


def test_a_job_expires_in_quiet_hours(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=limits(quiet=around_now("UTC")))
    job_id = ledger.add_job(expires_ms=MINUTE)

    ledger.pass_time(MINUTE)
    ledger.heartbeat()

    assert ledger.status(job_id) is Status.EXPIRED
    assert len(ledger.deliveries_of(job_id)) == 1
    assert audit(ledger) == []


def test_a_gap_longer_than_quiet_hours_is_the_reason_shown(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=limits(dm=pace((7200, 7200))))
    send(ledger, ledger.add_job())
    quiet = ledger_with(shop=limits(dm=pace((7200, 7200)), quiet=around_now("UTC", after=60)))

    assert wait_of(quiet, ledger.add_job())[0] == "dm_gap"


def test_one_job_starts_when_quiet_hours_end(ledger_with: LedgerFactory) -> None:
    # Given several jobs that wait for the end of quiet hours
    quiet = around_now("UTC")
    quiet_ledger = ledger_with(shop=limits(quiet=quiet))
    jobs = [quiet_ledger.add_job() for _ in range(3)]
    # When they are over
    later_ledger = ledger_with(shop=limits())
    pass_until(later_ledger, end_of(quiet) - SLACK)
    assert heartbeat_wakeups(later_ledger) == []
    later_ledger.pass_time(SLACK)
    # Then the first job starts, and the others follow one by one
    assert heartbeat_wakeups(later_ledger) == jobs[:1]
    assert later_ledger.try_claim(jobs[1]) is None
    send(later_ledger, jobs[0])
    assert later_ledger.take_messages() == jobs[1:2]
    assert audit(later_ledger) == []


# -- clock changes


def is_quiet(quiet: QuietHours, moment_ms: int) -> bool:
    """Whether it is quiet by the local time."""
    here = datetime.fromtimestamp(moment_ms / 1000, ZoneInfo(quiet.zone))
    minute = here.hour * 60 + here.minute
    if quiet.begin < quiet.end:
        return quiet.begin <= minute < quiet.end
    return minute >= quiet.begin or minute < quiet.end


def expected_end(quiet: QuietHours, moment_ms: int) -> int:
    """The first minute that is not quiet, found minute by minute; 0 if the given time is not."""
    if not is_quiet(quiet, moment_ms):
        return 0
    minute = moment_ms // MINUTE
    while is_quiet(quiet, minute * MINUTE):
        minute += 1
    return minute * MINUTE


def check(store: redis.Redis, quiet: QuietHours, moments: list[int]) -> None:
    found = evaluate(store, ENDS, *moments, config=times_with_limits(shop=limits(quiet=quiet)))
    actual = ((moment, int(end)) for moment, end in zip(moments, found, strict=True))
    expected = {moment: expected_end(quiet, moment) for moment in moments}
    assert [(at, end, expected[at]) for at, end in actual if end != expected[at]] == []


def near_changes(zone: str) -> list[int]:
    """Times from two days before each clock change to a day after it."""
    steps = range(-2 * DAY, DAY, 17 * MINUTE)
    at = [change + step for change, _ in clock_changes(zone)[1:3] for step in steps]
    edges = (-30 * MINUTE, -1, 0, 1, 30 * MINUTE)
    return at + [change + near for change, _ in clock_changes(zone)[1:3] for near in edges]


@pytest.mark.parametrize("zone", ["Europe/Paris", "America/St_Johns", "Australia/Lord_Howe"])
@pytest.mark.parametrize(
    ("begin", "end"),
    [(22 * 60, 8 * 60), (60, 5 * 60), (3 * 60, 22 * 60), (9 * 60, 10 * 60)],
    ids=["night", "small hours", "from the change on", "morning"],
)
def test_quiet_hours_end_on_the_minute_across_clock_changes(
    store: redis.Redis, zone: str, begin: int, end: int
) -> None:
    check(store, QuietHours(begin, end, zone), near_changes(zone))


def test_quiet_hours_end_on_the_minute_on_any_day(store: redis.Redis) -> None:
    quiet = QuietHours(22 * 60, 7 * 60 + 30, "Asia/Kathmandu")
    now = now_ms(store)
    check(store, quiet, list(range(now, now + 3 * DAY, 13 * MINUTE)))


@pytest.mark.parametrize("end", [2 * 60, 2 * 60 + 30, 3 * 60])
def test_quiet_hours_end_by_their_last_minute_even_if_the_clock_skips_or_repeats_it(
    store: redis.Redis, end: int
) -> None:
    check(store, QuietHours(22 * 60, end, "Europe/Paris"), near_changes("Europe/Paris"))
