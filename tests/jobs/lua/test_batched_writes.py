"""Batched index writes: a batch of events leaves the same store as the events one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
import redis

from service.jobs.ledger import Ledger
from service.jobs.model import Failure, JobDraft
from service.jobs.replies import Acceptance
from tests.support.encryption import CIPHER
from tests.support.invariants import audit
from tests.support.ledger import DAY, HOUR, Event, LedgerHarness, draft

LATE = {"rule": "late", "delay_ms": HOUR, "expires_ms": DAY}
BROKEN = {"rule": "broken", "failure": Failure("no_recipient", "to: came out empty", False)}
#: Events of every sort; the first job of an account gets its turn, the others wait.
EVENTS: tuple[tuple[str, list[JobDraft]], ...] = (
    ("evt_1", [draft(expires_ms=DAY)]),
    ("evt_2", [draft(), draft(rule="b", kind="comment", to=None, post="Cx")]),
    ("evt_3", []),
    ("evt_2", [draft(rule="another")]),
    ("evt_4", [draft(**LATE), draft(**BROKEN), draft(rule="again", account="club")]),
    ("evt_5", [draft(once_key="order 5")]),
    ("evt_6", [draft(once_key="order 5"), draft(account="club", expires_ms=DAY, priority=9)]),
)


def test_a_batch_of_events_writes_the_same_as_single_events(ledger: LedgerHarness) -> None:
    one_by_one = [ledger.run(_accept(ledger, *event)) for event in EVENTS]
    expected = _contents(ledger)
    ledger.store.flushdb()
    # A process that had seen the events would notice that they are gone.
    ledger.core = Ledger(ledger.client, ledger.script_config, CIPHER)

    at_once = ledger.run(_accept_at_once(ledger))

    assert at_once == one_by_one
    assert _contents(ledger) == expected
    assert audit(ledger) == []


def test_a_batch_keeps_the_order_of_its_events(ledger: LedgerHarness) -> None:
    accepted: Any = ledger.run(_accept_at_once(ledger))

    jobs = [job_id for acceptance in accepted for job_id in acceptance.jobs]
    assert _members(ledger, "hg:jobs") == list(dict.fromkeys(jobs))
    assert _members(ledger, "hg:events") == [f"stripe:evt_{number}" for number in range(1, 7)]


@pytest.mark.parametrize("index", ["hg:jobs:account:shop", "hg:jobs:status:waiting", "hg:events"])
def test_an_unwritable_index_raises_an_error_and_spoils_no_other(
    ledger: LedgerHarness, index: str
) -> None:
    # Given a damaged index
    ledger.store.set(index, "not an index")

    # When
    replies = ledger.run(_accept_at_once(ledger))

    # Then the senders get errors and retry, and the other indexes are complete
    assert all(isinstance(reply, redis.ResponseError) for reply in replies)
    others = {"hg:jobs", "hg:jobs:kind:dm", "hg:retention"}
    assert all(_members(ledger, name) for name in others)
    again = ledger.run(_accept(ledger, *EVENTS[0]))
    assert again.outcome == "duplicate"


async def _accept(ledger: LedgerHarness, name: str, drafts: list[JobDraft]) -> Acceptance:
    return await ledger.core.accept("stripe", Event(name), drafts, body=b"{}")


async def _accept_at_once(ledger: LedgerHarness) -> list[Acceptance | BaseException]:
    calls = [_accept(ledger, *event) for event in EVENTS]
    return await asyncio.gather(*calls, return_exceptions=True)


def _members(ledger: LedgerHarness, index: str) -> list[str]:
    found: Any = ledger.store.zrange(index, 0, -1)
    return [member.decode() for member in found]


def _contents(ledger: LedgerHarness) -> Mapping[str, Any]:
    """The contents of the store, without times, sequence numbers and names of processes."""
    names = sorted(key.decode() for key in ledger.store.scan_iter("hg:*"))
    return {
        name: _comparable(ledger.store, name)
        for name in names
        if name not in {"hg:seq", "hg:marks"}
    }


def _comparable(store: redis.Redis, name: str) -> Any:
    kind: Any = store.type(name)
    if kind == b"zset":
        return sorted(store.zrange(name, 0, -1))
    if kind == b"hash":
        found: Any = store.hgetall(name)
        return {field: found[field] for field in found if field not in _VOLATILE_FIELDS}
    if kind == b"set":
        return store.smembers(name)
    return kind


_VOLATILE_FIELDS = frozenset(
    {b"seq", b"created", b"run_at", b"expires", b"received", b"ended", b"finished", b"next_at"}
)
