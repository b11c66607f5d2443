"""Blocked jobs: they cost nothing while they wait, and one runs when its account is unblocked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
import redis

from service.jobs.account_effect import AccountEffect
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

FEW_JOBS: Final = 10
MANY_JOBS: Final = 1_000
COOLDOWN: Final = AccountEffect(cooldown="please_wait", kind="*", cooldown_ms=HOUR)


@pytest.fixture
def ledger_with(store: redis.Redis, store_url: str) -> Iterator[LedgerFactory]:
    assert store.dbsize() == 0
    with ledger_factory(store_url) as ledger_with:
        yield ledger_with


def commands(ledger: LedgerHarness) -> int:
    """How many commands the store has run, those inside scripts included."""
    stats: Any = ledger.store.info("commandstats")
    return sum(command["calls"] for command in stats.values())


def cost_of_heartbeat(ledger: LedgerHarness) -> int:
    before = commands(ledger)
    ledger.heartbeat()
    return commands(ledger) - before


def block_by_gap(ledger: LedgerHarness) -> None:
    send(ledger, ledger.add_job())


def block_by_cooldown(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job())
    assert ledger.release(claim, Status.WAITING, effect=COOLDOWN) == "ok"
    assert ledger.run(ledger.core.cancel(claim.id, "api:test")) == "ok"


@pytest.mark.parametrize("block", [block_by_gap, block_by_cooldown])
def test_blocked_jobs_cost_nothing_and_one_runs_when_the_account_is_unblocked(
    ledger_with: LedgerFactory, block: Any
) -> None:
    # Given a blocked account with a few waiting jobs
    gap = pace((3600, 3600))
    ledger = ledger_with(shop=AccountLimits(limits(dm=gap).paces))
    block(ledger)
    few = ledger.add_jobs(FEW_JOBS)
    ledger.take_messages()
    ledger.heartbeat()
    cost = cost_of_heartbeat(ledger)
    # When a thousand jobs wait
    jobs = few + ledger.add_jobs(MANY_JOBS - FEW_JOBS)
    # Then heartbeats wake no job, and cost the same as before
    assert ledger.take_messages() == []
    assert [cost_of_heartbeat(ledger) for _ in range(5)] == [cost] * 5
    # And when the account is unblocked exactly one job starts
    opens = alarm_ms(ledger)
    assert opens is not None
    pass_until(ledger, opens - SLACK)
    assert heartbeat_wakeups(ledger) == []
    ledger.pass_time(SLACK)
    assert heartbeat_wakeups(ledger) == jobs[:1]
    assert heartbeat_wakeups(ledger) == []
    assert ledger.run(ledger.controls.show("shop"))["jobs"]["waiting"] == MANY_JOBS - 1
    assert audit(ledger) == []


def test_several_blocked_sub_queues_share_one_alarm_for_the_first_that_opens(
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
