"""Cooldowns: how long an account rests after what Instagram said, and what rests with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
import redis

from service.jobs.claims import AccountEffect
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


def rest(ledger: LedgerHarness, effect: AccountEffect) -> float:
    """Let a job bring a cooldown, and end it; how many hours the cooldown lasts."""
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


def test_being_asked_to_wait_again_and_again_doubles_the_rest_up_to_a_day(
    ledger: LedgerHarness,
) -> None:
    rests = []
    for _ in range(7):
        rests.append(rest(ledger, PLEASE_WAIT))
        ledger.pass_time(round(rests[-1] * HOUR) + SLACK)

    assert rests == [1, 2, 4, 8, 16, 24, 24]
    assert audit(ledger) == []


def test_after_a_day_of_peace_the_rest_is_as_short_as_at_first(ledger: LedgerHarness) -> None:
    assert rest(ledger, PLEASE_WAIT) == 1
    ledger.pass_time(HOUR + DAY - HOUR // 2)
    assert rest(ledger, PLEASE_WAIT) == 2, "the peace begins where the rest ends"

    ledger.pass_time(2 * HOUR + DAY + SLACK)

    assert rest(ledger, PLEASE_WAIT) == 1


def test_other_errors_do_not_lengthen_a_rest(ledger: LedgerHarness) -> None:
    for _ in range(3):
        assert rest(ledger, RATE_LIMITED) == 0.25
        ledger.pass_time(HOUR // 4 + SLACK)

    assert rest(ledger, PLEASE_WAIT) == 1


def test_a_shorter_rest_does_not_end_a_longer_one(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job())
    until = now_ms(ledger.store) + 3 * HOUR
    longer: dict[Any, Any] = {"cool:*": until, "cool_why:*": "sentry_block"}
    ledger.store.hset("hg:acct:shop", mapping=longer)

    assert ledger.release(claim, Status.WAITING, effect=RATE_LIMITED) == "ok"

    [kept] = cooldowns(ledger)
    assert (kept["reason"], ms_of(kept["until"])) == ("sentry_block", until)
    assert alarm_ms(ledger) == until


# -- what rests


def test_being_asked_to_wait_stops_the_account_and_no_other(ledger: LedgerHarness) -> None:
    # Given jobs of every kind
    claim, comment = ledger.claim(ledger.add_job()), ledger.add_job(**COMMENT)
    # When one is asked to wait
    assert ledger.release(claim, Status.WAITING, charge="free", effect=PLEASE_WAIT) == "ok"
    # Then all of them do, and say why and until when
    [cooldown] = cooldowns(ledger)
    until = ms_of(cooldown["until"])
    assert (cooldown["kind"], cooldown["reason"]) == ("*", "please_wait")
    for job_id in (claim.id, comment):
        assert ledger.try_claim(job_id) is None
        assert wait_of(ledger, job_id)[:2] == ("please_wait", until)
    assert (alarm_ms(ledger), heartbeat_wakeups(ledger)) == (until, [])
    # And another account's go
    send(ledger, ledger.add_job(account="studio"))
    # And afterwards they go in their order
    ledger.pass_time(HOUR - SLACK)
    assert heartbeat_wakeups(ledger) == []
    ledger.pass_time(SLACK)
    assert heartbeat_wakeups(ledger) == [claim.id]
    assert audit(ledger) == []


def test_a_rest_of_the_account_keeps_look_ups_too(ledger: LedgerHarness) -> None:
    doubtful = ledger.claim_and_send(ledger.add_job())
    assert ledger.release(doubtful, Status.SENDING, effect=PLEASE_WAIT) == "ok"

    ledger.heartbeat()
    assert ledger.try_claim(doubtful.id) is None
    assert heartbeat_wakeups(ledger) == []

    ledger.pass_time(HOUR)
    ledger.heartbeat()
    assert ledger.claim(doubtful.id).verify_first
    assert audit(ledger) == []


def test_feedback_stops_its_kind_for_a_day(ledger: LedgerHarness) -> None:
    doubtful = ledger.claim_and_send(ledger.add_job())
    assert ledger.release(doubtful, Status.SENDING) == "ok"
    assert rest(ledger, FEEDBACK) == 24

    assert [cooldown["kind"] for cooldown in cooldowns(ledger)] == ["dm"]
    waiter = ledger.add_job()
    assert wait_of(ledger, waiter)[0] == "feedback_required"
    send(ledger, ledger.add_job(**COMMENT))
    send(ledger, ledger.add_job(account="studio"))
    ledger.heartbeat()
    look = ledger.claim(doubtful.id)
    assert look.verify_first, "look-ups are no DMs"
    assert ledger.finish(look)
    assert audit(ledger) == []


def test_a_second_feedback_within_a_week_stops_the_account_for_three_days(
    ledger: LedgerHarness,
) -> None:
    rest(ledger, FEEDBACK)
    ledger.pass_time(24 * HOUR + 7 * DAY - HOUR)

    assert rest(ledger, FEEDBACK) == 72

    assert [cooldown["kind"] for cooldown in cooldowns(ledger)] == ["*"]
    assert wait_of(ledger, ledger.add_job(**COMMENT))[0] == "feedback_required"
    send(ledger, ledger.add_job(account="studio"))
    assert audit(ledger) == []


def test_after_a_week_of_peace_feedback_stops_its_kind_alone(ledger: LedgerHarness) -> None:
    rest(ledger, FEEDBACK)
    ledger.pass_time(24 * HOUR + 7 * DAY + SLACK)

    assert rest(ledger, FEEDBACK) == 24

    send(ledger, ledger.add_job(**COMMENT))


def test_a_rest_of_one_kind_waits_for_the_whole_account_s_where_that_is_longer(
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
