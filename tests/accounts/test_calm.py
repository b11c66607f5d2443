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
from tests.support.ledgers import HOUR, Books
from tests.support.pacing import (
    SLACK,
    Opener,
    alarm,
    ledgers,
    pace,
    pass_until,
    terms,
    woken,
    write,
)

FEW: Final = 10
CROWD: Final = 1_000
REST: Final = AccountEffect(cooldown="please_wait", kind="*", cooldown_ms=HOUR)


@pytest.fixture
def opened(store: redis.Redis, store_url: str) -> Iterator[Opener]:
    assert store.dbsize() == 0
    with ledgers(store_url) as opened:
        yield opened


def commands(books: Books) -> int:
    """How many commands the store has run, inside scripts too."""
    stats: Any = books.store.info("commandstats")
    return sum(command["calls"] for command in stats.values())


def cost_of_a_beat(books: Books) -> int:
    before = commands(books)
    books.tick()
    return commands(books) - before


def close_by_gap(books: Books) -> None:
    write(books, books.job())


def close_by_cooldown(books: Books) -> None:
    claim = books.claim(books.job())
    assert books.release(claim, Status.WAITING, effect=REST) == "ok"
    assert books.run(books.ledger.cancel(claim.id, "api:test")) == "ok"


@pytest.mark.parametrize("close", [close_by_gap, close_by_cooldown])
def test_a_crowd_behind_a_closed_door_costs_nothing_and_one_goes_when_it_opens(
    opened: Opener, close: Any
) -> None:
    # Given a door that is closed, and a few who wait
    gap = pace((3600, 3600))
    books = opened(shop=AccountLimits(terms(dm=gap).paces))
    close(books)
    few = books.many(FEW)
    books.wakeups()
    books.tick()
    cost = cost_of_a_beat(books)
    # When a thousand wait
    crowd = few + books.many(CROWD - FEW)
    # Then beats wake nobody, and cost what they did
    assert books.wakeups() == []
    assert [cost_of_a_beat(books) for _ in range(5)] == [cost] * 5
    # And when it opens exactly one goes
    opens = alarm(books)
    assert opens is not None
    pass_until(books, opens - SLACK)
    assert woken(books) == []
    books.pass_time(SLACK)
    assert woken(books) == crowd[:1]
    assert woken(books) == []
    assert books.run(books.doors.show("shop"))["jobs"]["in_line"] == CROWD - 1
    assert audit(books) == []


def test_a_crowd_of_several_lanes_has_one_alarm_for_the_first_that_opens(opened: Opener) -> None:
    books = opened(shop=terms(dm=pace((3600, 3600)), comment=pace((60, 60))))
    write(books, books.job())
    write(books, books.job(kind="comment", to=None, post="Cx"))
    books.many(20)
    comments = books.many(20, kind="comment", to=None, post="Cx")
    books.wakeups()

    opens = alarm(books)
    assert opens is not None
    pass_until(books, opens)

    assert woken(books) == comments[:1]
    write(books, comments[0])
    assert books.wakeups() == []
    assert alarm(books) not in (None, opens)
