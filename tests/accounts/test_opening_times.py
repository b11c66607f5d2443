"""When the scheduler looks at an account again: as soon as one of its sub-queues opens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from service.config.pacing import PaceKind
from tests.support.invariants import audit
from tests.support.ledger import DAY, SECOND
from tests.support.limited_ledger import (
    LedgerFactory,
    alarm_ms,
    gap_ends_ms,
    heartbeat_wakeups,
    ledger_factory,
    limits,
    now_ms,
    pace,
    send,
    spent_ms,
)


@pytest.fixture
def ledger_with(store: redis.Redis, store_url: str) -> Iterator[LedgerFactory]:
    assert store.dbsize() == 0
    with ledger_factory(store_url) as ledger_with:
        yield ledger_with


@pytest.mark.parametrize("first", ["dm", "comment"])
def test_an_account_goes_on_when_the_first_of_its_sub_queues_opens(
    ledger_with: LedgerFactory, first: PaceKind
) -> None:
    # Given a DM and a comment that wait for gaps, of which one ends first
    short, long = pace((60, 60)), pace((600, 600))
    ends_first = {"dm": long, "comment": long} | {first: short}
    ledger = ledger_with(shop=limits(dm=ends_first["dm"], comment=ends_first["comment"]))
    comment: dict[str, Any] = {"kind": "comment", "to": None, "post": "Cx"}
    send(ledger, ledger.add_job())
    send(ledger, ledger.add_job(**comment))
    waiting = {"dm": ledger.add_job(), "comment": ledger.add_job(**comment)}
    assert [ledger.try_claim(job_id) for job_id in waiting.values()] == [None, None]
    # Then the account goes on with it
    assert alarm_ms(ledger) == gap_ends_ms(ledger, first)
    ledger.pass_time(60 * SECOND)
    assert heartbeat_wakeups(ledger) == [waiting[first]]
    assert audit(ledger) == []


def test_an_account_that_is_no_longer_new_waits_for_its_window(
    ledger_with: LedgerFactory, store: redis.Redis
) -> None:
    since_ms = now_ms(store) - 30 * DAY
    ledger = ledger_with(shop=limits(dm=pace(per_day=1), since_ms=since_ms))
    send(ledger, ledger.add_job())

    assert ledger.try_claim(ledger.add_job()) is None
    assert alarm_ms(ledger) == spent_ms(ledger)[0] + DAY
