"""Cooldowns: how long they last after Instagram's errors, and which jobs they stop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
import redis

from service.jobs.account_effect import AccountEffect
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.ledger import DAY, HOUR, LedgerHarness
from tests.support.limited_ledger import (
    SLACK,
    alarm_ms,
    heartbeat_wakeups,
    ledger_factory,
    limits,
    ms_of,
    now_ms,
    send,
    wait_of,
)

PLEASE_WAIT: Final = AccountEffect(
    cooldown="please_wait", kind="*", cooldown_ms=HOUR, escalation="double"
)
FEEDBACK: Final = AccountEffect(
    cooldown="feedback_required", kind="dm", cooldown_ms=24 * HOUR, escalation="widen"
)
RATE_LIMITED: Final = AccountEffect(cooldown="rate_limited", kind="*", cooldown_ms=HOUR // 4)
COMMENT: Final[dict[str, Any]] = {"kind": "comment", "to": None, "post": "Cx"}


@pytest.fixture
def ledger(store: redis.Redis, store_url: str) -> Iterator[LedgerHarness]:
    assert store.dbsize() == 0
    with ledger_factory(store_url) as opened:
        yield opened(shop=limits(), studio=limits())


def cool_down(ledger: LedgerHarness, effect: AccountEffect) -> float:
    """Start a cooldown by a job, and cancel the job; returns the cooldown's length in hours."""
    claim = ledger.claim(ledger.add_job())
    assert ledger.release(claim, Status.WAITING, charge="free", effect=effect) == "ok"
    assert ledger.run(ledger.core.cancel(claim.id, "api:test")) == "ok"
    kinds = {shown["kind"]: ms_of(shown["until"]) for shown in cooldowns(ledger)}
    return round((max(kinds.values()) - now_ms(ledger.store)) / HOUR, 2)


def cooldowns(ledger: LedgerHarness, account: str = "shop") -> list[dict[str, Any]]:
    shown = ledger.run(ledger.controls.show(account))["cooldowns"]
    assert isinstance(shown, list)
    return shown


# -- how long


def test_repeated_please_wait_errors_double_the_cooldown_up_to_a_day(
    ledger: LedgerHarness,
) -> None:
    hours = []
    for _ in range(7):
        hours.append(cool_down(ledger, PLEASE_WAIT))
        ledger.pass_time(round(hours[-1] * HOUR) + SLACK)

    assert hours == [1, 2, 4, 8, 16, 24, 24]
    assert audit(ledger) == []


def test_after_a_day_without_errors_the_cooldown_is_short_again(ledger: LedgerHarness) -> None:
    assert cool_down(ledger, PLEASE_WAIT) == 1
    ledger.pass_time(HOUR + DAY - HOUR // 2)
    assert cool_down(ledger, PLEASE_WAIT) == 2, "the day starts when the cooldown ends"

    ledger.pass_time(2 * HOUR + DAY + SLACK)

    assert cool_down(ledger, PLEASE_WAIT) == 1


def test_other_errors_do_not_lengthen_a_cooldown(ledger: LedgerHarness) -> None:
    for _ in range(3):
        assert cool_down(ledger, RATE_LIMITED) == 0.25
        ledger.pass_time(HOUR // 4 + SLACK)

    assert cool_down(ledger, PLEASE_WAIT) == 1


def test_a_shorter_cooldown_does_not_end_a_longer_one(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job())
    until = now_ms(ledger.store) + 3 * HOUR
    longer: dict[Any, Any] = {"cool:*": until, "cool_why:*": "sentry_block"}
    ledger.store.hset("hg:acct:shop", mapping=longer)

    assert ledger.release(claim, Status.WAITING, effect=RATE_LIMITED) == "ok"

    [cooldown] = cooldowns(ledger)
    assert (cooldown["reason"], ms_of(cooldown["until"])) == ("sentry_block", until)
    assert alarm_ms(ledger) == until


# -- what hours


def test_please_wait_stops_the_account_and_no_other(ledger: LedgerHarness) -> None:
    # Given jobs of every kind
    claim, comment = ledger.claim(ledger.add_job()), ledger.add_job(**COMMENT)
    # When Instagram asks one of them to wait
    assert ledger.release(claim, Status.WAITING, charge="free", effect=PLEASE_WAIT) == "ok"
    # Then all of them wait, and show why and until when
    [cooldown] = cooldowns(ledger)
    until = ms_of(cooldown["until"])
    assert (cooldown["kind"], cooldown["reason"]) == ("*", "please_wait")
    for job_id in (claim.id, comment):
        assert ledger.try_claim(job_id) is None
        assert wait_of(ledger, job_id)[:2] == ("please_wait", until)
    assert (alarm_ms(ledger), heartbeat_wakeups(ledger)) == (until, [])
    # And jobs of another account run
    send(ledger, ledger.add_job(account="studio"))
    # And afterwards they run in their order
    ledger.pass_time(HOUR - SLACK)
    assert heartbeat_wakeups(ledger) == []
    ledger.pass_time(SLACK)
    assert heartbeat_wakeups(ledger) == [claim.id]
    assert audit(ledger) == []


def test_an_account_cooldown_delays_verifications_too(ledger: LedgerHarness) -> None:
    unconfirmed = ledger.claim_and_send(ledger.add_job())
    assert ledger.release(unconfirmed, Status.SENDING, effect=PLEASE_WAIT) == "ok"

    ledger.heartbeat()
    assert ledger.try_claim(unconfirmed.id) is None
    assert heartbeat_wakeups(ledger) == []

    ledger.pass_time(HOUR)
    ledger.heartbeat()
    assert ledger.claim(unconfirmed.id).verify_first
    assert audit(ledger) == []


def test_feedback_stops_its_kind_for_a_day(ledger: LedgerHarness) -> None:
    unconfirmed = ledger.claim_and_send(ledger.add_job())
    assert ledger.release(unconfirmed, Status.SENDING) == "ok"
    assert cool_down(ledger, FEEDBACK) == 24

    assert [cooldown["kind"] for cooldown in cooldowns(ledger)] == ["dm"]
    waiter = ledger.add_job()
    assert wait_of(ledger, waiter)[0] == "feedback_required"
    send(ledger, ledger.add_job(**COMMENT))
    send(ledger, ledger.add_job(account="studio"))
    ledger.heartbeat()
    verification = ledger.claim(unconfirmed.id)
    assert verification.verify_first, "verification-ups are no DMs"
    assert ledger.finish(verification)
    assert audit(ledger) == []


def test_a_second_feedback_within_a_week_stops_the_account_for_three_days(
    ledger: LedgerHarness,
) -> None:
    cool_down(ledger, FEEDBACK)
    ledger.pass_time(24 * HOUR + 7 * DAY - HOUR)

    assert cool_down(ledger, FEEDBACK) == 72

    assert [cooldown["kind"] for cooldown in cooldowns(ledger)] == ["*"]
    assert wait_of(ledger, ledger.add_job(**COMMENT))[0] == "feedback_required"
    send(ledger, ledger.add_job(account="studio"))
    assert audit(ledger) == []


def test_after_a_week_without_errors_feedback_stops_its_kind_only(ledger: LedgerHarness) -> None:
    cool_down(ledger, FEEDBACK)
    ledger.pass_time(24 * HOUR + 7 * DAY + SLACK)

    assert cool_down(ledger, FEEDBACK) == 24

    send(ledger, ledger.add_job(**COMMENT))


def test_a_kinds_cooldown_lasts_at_least_as_long_as_the_accounts(
    ledger: LedgerHarness,
) -> None:
    dm, comment = ledger.add_job(), ledger.add_job(**COMMENT)
    claim = ledger.claim(dm)
    first = AccountEffect(cooldown="slow_down", kind="dm", cooldown_ms=HOUR // 2)
    assert ledger.release(claim, Status.WAITING, effect=first) == "ok"
    assert ledger.release(ledger.claim(comment), Status.WAITING, effect=PLEASE_WAIT) == "ok"

    assert wait_of(ledger, dm)[0] == "please_wait"
    ledger.pass_time(HOUR // 2)
    assert heartbeat_wakeups(ledger) == []
