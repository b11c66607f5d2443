"""Quiet hours: nothing is sent, by the account's own clock, whatever that clock does."""

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
#: What the scripts say of each moment of ARGV: when its quiet hours end, 0 where none are on.
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
    """A zone where it is that hour now."""
    ahead = (hour - datetime.now(UTC).hour + 11) % 24 - 11
    return f"Etc/GMT{-ahead:+d}"


def around_now(zone: str, before: int = 120, after: int = 120) -> QuietHours:
    """Quiet hours that began and end so many minutes from now."""
    now = datetime.now(ZoneInfo(zone))
    minute = now.hour * 60 + now.minute
    return QuietHours((minute - before) % MINUTES_A_DAY, (minute + after) % MINUTES_A_DAY, zone)


def end_of(quiet: QuietHours) -> int:
    """When quiet hours that are on end, where the clock does not change meanwhile."""
    now = datetime.now(ZoneInfo(quiet.zone))
    end = now.replace(hour=quiet.end // 60, minute=quiet.end % 60, second=0, microsecond=0)
    return round((end if end > now else end + timedelta(days=1)).timestamp() * 1000)


# -- nothing goes


@pytest.mark.parametrize("hour", [0, 4, 12, 23])
def test_nothing_is_granted_in_quiet_hours(ledger_with: LedgerFactory, hour: int) -> None:
    # Given that it is quiet, over midnight or not
    quiet = around_now(zone_at(hour))
    ledger = ledger_with(shop=limits(quiet=quiet), studio=limits())
    # When there is work
    dm, comment = ledger.add_job(), ledger.add_job(kind="comment", to=None, post="Cx")
    assert ledger.take_messages() == []
    # Then it waits, and says until when
    for job_id in (dm, comment):
        assert ledger.try_claim(job_id) is None
        assert wait_of(ledger, job_id) == ("quiet_hours", end_of(quiet), 0)
    assert (alarm_ms(ledger), heartbeat_wakeups(ledger)) == (end_of(quiet), [])
    shown = ledger.run(ledger.controls.show("shop"))
    assert ms_of(shown["quiet_until"]) == end_of(quiet)
    send(ledger, ledger.add_job(account="studio"))
    assert audit(ledger) == []


def test_outside_of_quiet_hours_everything_goes(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=limits(quiet=around_now("UTC", before=-60, after=120)))

    send(ledger, ledger.add_job())

    assert ledger.run(ledger.controls.show("shop"))["quiet_until"] is None


def test_quiet_hours_are_those_of_the_account_s_zone(ledger_with: LedgerFactory) -> None:
    here = around_now("Asia/Kolkata", before=60, after=60)
    elsewhere = QuietHours(here.begin, here.end, "UTC")
    ledger = ledger_with(shop=limits(quiet=here), studio=limits(quiet=elsewhere))

    assert ledger.try_claim(ledger.add_job()) is None
    assert ledger.claim(ledger.add_job(account="studio"))


def test_a_turn_that_was_granted_before_is_not_taken(ledger_with: LedgerFactory) -> None:
    before = ledger_with(shop=limits())
    job_id, comment = before.add_job(), before.add_job(kind="comment", to=None, post="Cx")
    quiet = around_now("UTC")
    ledger = ledger_with(shop=limits(quiet=quiet))

    assert ledger.try_claim(job_id) is None

    assert (ledger.turn(), alarm_ms(ledger)) == (None, end_of(quiet))
    assert [wait_of(ledger, each)[0] for each in (job_id, comment)] == ["quiet_hours"] * 2
    assert audit(ledger) == []


def test_a_write_that_a_worker_was_about_to_make_is_not_begun(ledger_with: LedgerFactory) -> None:
    before = ledger_with(shop=limits())
    claim = before.claim(before.add_job())
    ledger = ledger_with(shop=limits(quiet=around_now("UTC")))

    assert ledger.record_intent(claim) == "waiting"

    assert (spent_ms(ledger), ledger.record(claim.id).attempts) == ([], 0)
    assert wait_of(ledger, claim.id)[0] == "quiet_hours"
    assert audit(ledger) == []


def test_a_write_that_was_begun_before_ends_as_it_does(ledger_with: LedgerFactory) -> None:
    before = ledger_with(shop=limits())
    claim = before.claim_and_send(before.add_job())
    ledger = ledger_with(shop=limits(quiet=around_now("UTC")))

    assert ledger.finish(claim)
    assert audit(ledger) == []


def test_a_write_in_doubt_is_looked_for_in_quiet_hours(ledger_with: LedgerFactory) -> None:
    # Given a write in doubt
    before = ledger_with(shop=limits())
    claim = before.claim_and_send(before.add_job())
    assert before.release(claim, Status.SENDING) == "ok"
    # When it is quiet
    ledger = ledger_with(shop=limits(quiet=around_now("UTC")))
    ledger.heartbeat()
    # Then it is looked for, and not sent again
    look = ledger.claim(claim.id)
    assert look.verify_first
    assert ledger.release(look, Status.QUEUED) == "ok"
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


def test_a_gap_that_is_longer_outlasts_quiet_hours(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=limits(dm=pace((7200, 7200))))
    send(ledger, ledger.add_job())
    quiet = ledger_with(shop=limits(dm=pace((7200, 7200)), quiet=around_now("UTC", after=60)))

    assert wait_of(quiet, ledger.add_job())[0] == "dm_gap"


def test_one_goes_when_quiet_hours_are_over(ledger_with: LedgerFactory) -> None:
    # Given that several wait for the end of the quiet hours
    quiet = around_now("UTC")
    asleep = ledger_with(shop=limits(quiet=quiet))
    jobs = [asleep.add_job() for _ in range(3)]
    # When the clock says that they are over
    awake = ledger_with(shop=limits())
    pass_until(awake, end_of(quiet) - SLACK)
    assert heartbeat_wakeups(awake) == []
    awake.pass_time(SLACK)
    # Then the first goes, and the others after it
    assert heartbeat_wakeups(awake) == jobs[:1]
    assert awake.try_claim(jobs[1]) is None
    send(awake, jobs[0])
    assert awake.take_messages() == jobs[1:2]
    assert audit(awake) == []


# -- the clock


def is_quiet(quiet: QuietHours, moment_ms: int) -> bool:
    """Whether the clock on the wall says so."""
    here = datetime.fromtimestamp(moment_ms / 1000, ZoneInfo(quiet.zone))
    minute = here.hour * 60 + here.minute
    if quiet.begin < quiet.end:
        return quiet.begin <= minute < quiet.end
    return minute >= quiet.begin or minute < quiet.end


def expected_end(quiet: QuietHours, moment_ms: int) -> int:
    """The first minute that is not quiet, found by walking there; 0 where it is not quiet."""
    if not is_quiet(quiet, moment_ms):
        return 0
    minute = moment_ms // MINUTE
    while is_quiet(quiet, minute * MINUTE):
        minute += 1
    return minute * MINUTE


def check(store: redis.Redis, quiet: QuietHours, moments: list[int]) -> None:
    found = evaluate(store, ENDS, *moments, config=times_with_limits(shop=limits(quiet=quiet)))
    told = ((moment, int(end)) for moment, end in zip(moments, found, strict=True))
    right = {moment: expected_end(quiet, moment) for moment in moments}
    assert [(moment, end, right[moment]) for moment, end in told if end != right[moment]] == []


def near_changes(zone: str) -> list[int]:
    """Moments from two days before each clock change to a day after it."""
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
def test_quiet_hours_end_on_the_minute_though_the_clock_changes(
    store: redis.Redis, zone: str, begin: int, end: int
) -> None:
    check(store, QuietHours(begin, end, zone), near_changes(zone))


def test_quiet_hours_end_on_the_minute_on_any_day(store: redis.Redis) -> None:
    quiet = QuietHours(22 * 60, 7 * 60 + 30, "Asia/Kathmandu")
    now = now_ms(store)
    check(store, quiet, list(range(now, now + 3 * DAY, 13 * MINUTE)))


@pytest.mark.parametrize("end", [2 * 60, 2 * 60 + 30, 3 * 60])
def test_quiet_hours_whose_last_minute_the_clock_skips_or_repeats_end_by_it(
    store: redis.Redis, end: int
) -> None:
    check(store, QuietHours(22 * 60, end, "Europe/Paris"), near_changes("Europe/Paris"))
