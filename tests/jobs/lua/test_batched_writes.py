"""What many events of one batch add to an index goes there at once, and is the same."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
import redis

from service.jobs.model import Failure, JobDraft
from service.jobs.replies import Acceptance
from tests.support.invariants import audit
from tests.support.ledgers import DAY, HOUR, Books, Event, draft

LATE = {"rule": "late", "delay_ms": HOUR, "expires_ms": DAY}
BROKEN = {"rule": "broken", "failure": Failure("no_recipient", "to: came out empty", False)}
#: A bit of everything; the first job of an account gets its turn, the others wait.
STORM: tuple[tuple[str, list[JobDraft]], ...] = (
    ("evt_1", [draft(expires_ms=DAY)]),
    ("evt_2", [draft(), draft(rule="b", kind="comment", to=None, post="Cx")]),
    ("evt_3", []),
    ("evt_2", [draft(rule="another")]),
    ("evt_4", [draft(**LATE), draft(**BROKEN), draft(rule="again", account="club")]),
    ("evt_5", [draft(once_key="order 5")]),
    ("evt_6", [draft(once_key="order 5"), draft(account="club", expires_ms=DAY, priority=9)]),
)


def test_events_of_a_batch_leave_what_they_leave_one_by_one(books: Books) -> None:
    one_by_one = [books.run(_accept(books, *event)) for event in STORM]
    alone = _left(books)
    books.store.flushdb()

    at_once = books.run(_all_at_once(books))

    assert at_once == one_by_one
    assert _left(books) == alone
    assert audit(books) == []


def test_a_batch_stands_in_the_order_in_which_it_came(books: Books) -> None:
    accepted: Any = books.run(_all_at_once(books))

    jobs = [job_id for each in accepted for job_id in each.jobs]
    assert _members(books, "hg:jobs") == list(dict.fromkeys(jobs))
    assert _members(books, "hg:events") == [f"stripe:evt_{number}" for number in range(1, 7)]


@pytest.mark.parametrize("index", ["hg:jobs:account:shop", "hg:jobs:status:waiting", "hg:events"])
def test_an_index_that_cannot_be_written_is_no_secret_and_spoils_no_other(
    books: Books, index: str
) -> None:
    # Given an index that is damaged
    books.store.set(index, "not an index")

    # When
    replies = books.run(_all_at_once(books))

    # Then the senders come again, and the other indexes are whole
    assert all(isinstance(reply, redis.ResponseError) for reply in replies)
    others = {"hg:jobs", "hg:jobs:kind:dm", "hg:retention"}
    assert all(_members(books, name) for name in others)
    again = books.run(_accept(books, *STORM[0]))
    assert again.outcome == "duplicate"


async def _accept(books: Books, name: str, drafts: list[JobDraft]) -> Acceptance:
    return await books.ledger.accept("stripe", Event(name), drafts, body=b"{}")


async def _all_at_once(books: Books) -> list[Acceptance | BaseException]:
    calls = [_accept(books, *event) for event in STORM]
    return await asyncio.gather(*calls, return_exceptions=True)


def _members(books: Books, index: str) -> list[str]:
    found: Any = books.store.zrange(index, 0, -1)
    return [member.decode() for member in found]


def _left(books: Books) -> Mapping[str, Any]:
    """What is in the store, but for the moments and the places in the order."""
    names = sorted(key.decode() for key in books.store.scan_iter("hg:*"))
    return {name: _plain(books.store, name) for name in names if name != "hg:seq"}


def _plain(store: redis.Redis, name: str) -> Any:
    kind: Any = store.type(name)
    if kind == b"zset":
        return sorted(store.zrange(name, 0, -1))
    if kind == b"hash":
        found: Any = store.hgetall(name)
        return {field: found[field] for field in found if field not in _MOMENTS}
    if kind == b"set":
        return store.smembers(name)
    return kind


_MOMENTS = frozenset(
    {b"seq", b"created", b"run_at", b"expires", b"received", b"ended", b"finished", b"next_at"}
)
