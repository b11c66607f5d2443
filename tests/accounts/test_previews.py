"""Previews: what would happen to a job, without creating it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from service.accounts.suppressions import Suppressions
from service.jobs.account_effect import AccountEffect
from service.jobs.lua.limits import QuietHours
from service.jobs.model import Status
from service.jobs.replies import Preview
from tests.support.ledger import DAY, HOUR, PERSON_KEYS, SECOND, LedgerHarness, draft
from tests.support.limited_ledger import (
    SLACK,
    LedgerFactory,
    contents,
    gap_ends_ms,
    ledger_factory,
    limits,
    now_ms,
    pace,
    send,
    spent_ms,
)

WEEK = 7 * DAY


@pytest.fixture
def ledger_with(store: redis.Redis, store_url: str) -> Iterator[LedgerFactory]:
    assert store.dbsize() == 0
    with ledger_factory(store_url) as ledger_with:
        yield ledger_with


def preview(ledger: LedgerHarness, *, pk: str = "314159", **changes: Any) -> Preview:
    """Preview a job; the store must not change."""
    before = contents(ledger.store)
    found = ledger.run(ledger.core.preview(draft(**changes), caller="crm", pk=pk))
    assert contents(ledger.store) == before
    return found


def decision_of(previewed: Preview) -> tuple[str, str | None, bool]:
    return previewed.decision, previewed.reason, previewed.person


# -- send


def test_an_unblocked_job_would_be_sent_now(
    ledger_with: LedgerFactory,
) -> None:
    ledger = ledger_with(shop=limits())

    found = preview(ledger)

    assert decision_of(found) == ("send", None, False)
    assert abs(found.earliest_ms - now_ms(ledger.store)) < SLACK
    assert ledger.store.dbsize() == 0
    send(ledger, ledger.add_job())


# -- wait


def test_a_job_would_wait_for_a_gap(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=limits(dm=pace((60, 90))))
    send(ledger, ledger.add_job())

    assert preview(ledger) == Preview("wait", "dm_gap", gap_ends_ms(ledger), person=False)
    assert decision_of(preview(ledger, kind="comment", to=None, post="Cx")) == ("send", None, False)
    assert decision_of(preview(ledger, account="studio")) == ("send", None, False)


def test_a_job_would_wait_for_a_budget(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=limits(dm=pace(per_hour=1)))
    send(ledger, ledger.add_job())

    opens = spent_ms(ledger)[0] + HOUR
    assert preview(ledger) == Preview("wait", "dm_per_hour", opens, person=False)


def test_a_job_would_wait_for_the_new_thread_budget_unless_its_thread_exists(
    ledger_with: LedgerFactory,
) -> None:
    ledger = ledger_with(shop=limits(dm_new_thread=pace(per_day=1)))
    send(ledger, ledger.add_job(), thread="new", pk="314159")

    assert decision_of(preview(ledger, pk="314159")) == ("send", None, False)
    opens = spent_ms(ledger, "dm_new_thread")[0] + DAY
    expected = Preview("wait", "dm_new_thread_per_day", opens, person=False)
    assert preview(ledger, pk="271828") == expected


def test_a_job_would_wait_for_the_end_of_quiet_hours(ledger_with: LedgerFactory) -> None:
    now = datetime.now(UTC)
    minute = now.hour * 60 + now.minute
    quiet = QuietHours((minute - 60) % 1440, (minute + 60) % 1440, "UTC")
    ledger = ledger_with(shop=limits(quiet=quiet))

    found = preview(ledger)

    assert decision_of(found) == ("wait", "quiet_hours", False)
    assert found.earliest_ms // (60 * SECOND) % 1440 == quiet.end


def test_a_job_would_wait_for_the_end_of_a_cooldown(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=limits())
    effect = AccountEffect(cooldown="please_wait", kind="*", cooldown_ms=HOUR)
    assert ledger.release(ledger.claim(ledger.add_job()), Status.WAITING, effect=effect) == "ok"

    found = preview(ledger, kind="comment", to=None, post="Cx")

    assert decision_of(found) == ("wait", "please_wait", False)
    assert abs(found.earliest_ms - now_ms(ledger.store) - HOUR) < SLACK


def test_a_job_would_wait_for_its_turn(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=limits())
    claim = ledger.claim(ledger.add_job())
    assert decision_of(preview(ledger)) == ("wait", "turn", False)

    assert ledger.finish(claim)
    assert decision_of(preview(ledger)) == ("send", None, False)


def test_a_scheduled_job_would_wait_for_its_time_or_a_longer_limit(
    ledger_with: LedgerFactory,
) -> None:
    ledger = ledger_with(shop=limits(dm=pace(per_day=1)))
    found = preview(ledger, delay_ms=HOUR)
    assert decision_of(found) == ("wait", "scheduled", False)
    assert abs(found.earliest_ms - now_ms(ledger.store) - HOUR) < SLACK

    send(ledger, ledger.add_job())

    assert preview(ledger, delay_ms=HOUR).reason == "dm_per_day"
    assert preview(ledger, delay_ms=2 * DAY).reason == "scheduled"


@pytest.mark.parametrize("kind", [None, "dm", "everything"])
def test_a_job_would_wait_for_a_person(ledger_with: LedgerFactory, kind: str | None) -> None:
    ledger = ledger_with(shop=limits())
    controls = ledger.controls
    ledger.run(controls.pause_all() if kind == "everything" else controls.pause("shop", kind=kind))

    assert preview(ledger) == Preview("wait", "paused", 0, person=True)
    comment = preview(ledger, kind="comment", to=None, post="Cx")
    assert comment.person == (kind != "dm")


# -- reject


@pytest.mark.parametrize(
    ("key", "job", "pk"),
    [
        ("some.handle", {}, ""),
        ("123", {"to": "@123"}, ""),
        ("pk:314159", {}, "314159"),
        ("pk:314159", {"to": "314159"}, ""),
    ],
)
def test_a_job_to_a_suppressed_recipient_would_be_rejected(
    ledger_with: LedgerFactory, key: str, job: dict[str, str], pk: str
) -> None:
    ledger = ledger_with(shop=limits())
    suppressions = Suppressions(ledger.client, PERSON_KEYS)
    ledger.run(suppressions.put(key, account=None, reason=None, by="crm"))

    assert preview(ledger, pk=pk, **job) == Preview(
        "refuse", "recipient_suppressed", 0, person=True
    )
    assert preview(ledger, pk="271828", to="another.handle").decision == "send"


def test_a_repetition_would_be_rejected_until_its_period_ends(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(WEEK, shop=limits())
    send(ledger, ledger.add_job())

    found = preview(ledger)

    assert decision_of(found) == ("refuse", "recipient_repeated", False)
    assert abs(found.earliest_ms - now_ms(ledger.store) - WEEK) < SLACK
    assert decision_of(preview(ledger, rule="reminder")) == ("send", None, False)
    assert decision_of(preview(ledger, pk="271828")) == ("send", None, False)
    assert decision_of(preview(ledger, delay_ms=WEEK)) == ("wait", "scheduled", False)


def test_a_job_that_would_expire_first_would_be_rejected(ledger_with: LedgerFactory) -> None:
    ledger = ledger_with(shop=limits(dm=pace(per_hour=1)))
    send(ledger, ledger.add_job())

    found = preview(ledger, expires_ms=HOUR // 2)

    assert decision_of(found) == ("refuse", "expired", False)
    assert decision_of(preview(ledger, expires_ms=2 * HOUR)) == ("wait", "dm_per_hour", False)


# -- what is preview comes true


@pytest.mark.parametrize(
    ("prepare", "status"),
    [
        (lambda _ledger: None, Status.QUEUED),
        (lambda ledger: send(ledger, ledger.add_job()), Status.WAITING),
        (lambda ledger: ledger.claim(ledger.add_job()), Status.WAITING),
        (lambda ledger: ledger.run(ledger.controls.pause("shop")), Status.HELD),
    ],
    ids=["nothing", "a gap", "a turn", "a pause"],
)
def test_previews_match_what_happens(
    ledger_with: LedgerFactory, prepare: Callable[[LedgerHarness], Any], status: Status
) -> None:
    ledger = ledger_with(shop=limits(dm=pace((60, 90))))
    prepare(ledger)
    found = preview(ledger)

    shown = ledger.api_job(ledger.add_job())

    assert (shown["status"], found.decision) == (
        str(status),
        "send" if status is Status.QUEUED else "wait",
    )
    assert found.reason == (shown["wait"] or {"reason": None})["reason"]
