"""Calm: who waits behind a closed door costs nothing, and one goes when it opens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
import redis

from service.jobs.claims import AccountEffect
from service.jobs.lua.limits import AccountLimits
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.ledger import HOUR, LedgerHarness
from tests.support.limited_ledger import (
    SLACK,
    LedgerFactory,
    alarm_ms,
    heartbeat_wakeups,
    ledger_factory,
    limits,
    pace,
    pass_until,
    send,
)

FEW: Final = 10
CROWD: Final = 1_000
REST: Final = AccountEffect(cooldown="please_wait", kind="*", cooldown_ms=HOUR)


@pytest.fixture
def ledger_with(store: redis.Redis, store_url: str) -> Iterator[LedgerFactory]:
    assert store.dbsize() == 0
    with ledger_factory(store_url) as ledger_with:
        yield ledger_with


def commands(ledger: LedgerHarness) -> int:
    """How many commands the store has run, inside scripts too."""
    stats: Any = ledger.store.info("commandstats")
    return sum(command["calls"] for command in stats.values())


def cost_of_a_beat(ledger: LedgerHarness) -> int:
    before = commands(ledger)
    ledger.heartbeat()
    return commands(ledger) - before


def close_by_gap(ledger: LedgerHarness) -> None:
    send(ledger, ledger.add_job())


def close_by_cooldown(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job())
    assert ledger.release(claim, Status.WAITING, effect=REST) == "ok"
    assert ledger.run(ledger.core.cancel(claim.id, "api:test")) == "ok"


@pytest.mark.parametrize("close", [close_by_gap, close_by_cooldown])
def test_a_crowd_behind_a_closed_door_costs_nothing_and_one_goes_when_it_opens(
    ledger_with: LedgerFactory, close: Any
) -> None:
    # Given a door that is closed, and a few who wait
    gap = pace((3600, 3600))
    ledger = ledger_with(shop=AccountLimits(limits(dm=gap).paces))
    close(ledger)
    few = ledger.add_jobs(FEW)
    ledger.take_messages()
    ledger.heartbeat()
    cost = cost_of_a_beat(ledger)
    # When a thousand wait
    crowd = few + ledger.add_jobs(CROWD - FEW)
    # Then beats wake nobody, and cost what they did
    assert ledger.take_messages() == []
    assert [cost_of_a_beat(ledger) for _ in range(5)] == [cost] * 5
    # And when it opens exactly one goes
    opens = alarm_ms(ledger)
    assert opens is not None
    pass_until(ledger, opens - SLACK)
    assert heartbeat_wakeups(ledger) == []
    ledger.pass_time(SLACK)
    assert heartbeat_wakeups(ledger) == crowd[:1]
    assert heartbeat_wakeups(ledger) == []
    assert ledger.run(ledger.controls.show("shop"))["jobs"]["in_line"] == CROWD - 1
    assert audit(ledger) == []


def test_a_crowd_of_several_lanes_has_one_alarm_for_the_first_that_opens(
    ledger_with: LedgerFactory,
) -> None:
    ledger = ledger_with(shop=limits(dm=pace((3600, 3600)), comment=pace((60, 60))))
    send(ledger, ledger.add_job())
    send(ledger, ledger.add_job(kind="comment", to=None, post="Cx"))
    ledger.add_jobs(20)
    comments = ledger.add_jobs(20, kind="comment", to=None, post="Cx")
    ledger.take_messages()

    opens = alarm_ms(ledger)
    assert opens is not None
    pass_until(ledger, opens)

    assert heartbeat_wakeups(ledger) == comments[:1]
    send(ledger, comments[0])
    assert ledger.take_messages() == []
    assert alarm_ms(ledger) not in (None, opens)
