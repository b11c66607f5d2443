"""Follower exports without an Instagram: made-up rows, given to the real scripts page by page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, Final

from service.followers.rows import FollowerRows, Row, row_batches
from service.jobs.claims import Claim
from service.jobs.follower_page import FollowerPage
from service.jobs.lua.append_follower_page import FollowerPageReply, Remainder
from service.jobs.model import JobDraft
from tests.support.ledger import LedgerHarness

PK: Final = "314159"
PAGE: Final = 200


def row(number: int, **changes: Any) -> dict[str, Any]:
    """The row of one made-up follower."""
    usual = {
        "pk": str(70_000_000_000 + number),
        "username": f"follower.{number:07d}",
        "full_name": f"Follower {number}",
        "is_private": number % 7 == 0,
        "is_verified": number % 1000 == 0,
    }
    return {**usual, **changes}


def rows(start: int, stop: int) -> list[dict[str, Any]]:
    """The rows of the made-up followers from `start` up to `stop`."""
    return [row(number) for number in range(start, stop)]


def add_export(ledger: LedgerHarness, **changes: Any) -> str:
    """Create an export of `some.handle`'s followers; return its job id.

    Parameters:
      changes: Fields of the draft to change.
    """
    usual: dict[str, Any] = {
        "kind": "followers",
        "account": "shop",
        "to": "some.handle",
        "post": None,
        "text": "",
        "callback": "crm",
        "priority": 1,
    }
    wanted = JobDraft(**usual | changes)
    step = ledger.core.create(wanted, caller="test", idempotency_key=None, request="")
    return ledger.run(step).job_id


def append_page(
    ledger: LedgerHarness,
    claim: Claim,
    page: Sequence[Row] = (),
    cursor: str = "",
    *,
    expected: int = 1_000,
    reads: int = 0,
    **facts: Any,
) -> FollowerPageReply:
    """Append a page that a claim has read; without a cursor it is the last one.

    Parameters:
      claim: The claim.
      page: The rows, all of them new.
      cursor: The next page's cursor.
      expected: How many rows the export is expected to have.
      reads: How many calls were made besides the one that is charged.
      facts: Other fields of the page.
    """
    remainder: Remainder = "wanted" if cursor else "none"
    found = FollowerPage(
        PK, expected, row_batches(page), cursor, **{"remainder": remainder} | facts
    )
    return ledger.run(ledger.claims.append_follower_page(claim, found, reads=reads))


def claim_and_append(
    ledger: LedgerHarness, job_id: str, *page: Any, owner: str = "worker", **more: Any
) -> FollowerPageReply:
    """Claim an export and append a page; parameters as `append_page`."""
    return append_page(ledger, ledger.claim(job_id, owner), *page, **more)


def started_export(
    ledger: LedgerHarness, pages: int = 0, *, expected: int = 1_000, **changes: Any
) -> str:
    """An export that knows its user and has so many pages; return its job id."""
    job_id = add_export(ledger, **changes)
    assert claim_and_append(ledger, job_id, (), "0", expected=expected) == "more"
    for number in range(pages):
        page = rows(number * PAGE, (number + 1) * PAGE)
        assert claim_and_append(ledger, job_id, page, str(number + 1), expected=expected) == "more"
    return job_id


def stored_rows(
    ledger: LedgerHarness, job_id: str, start: int = 0, end: int | None = None
) -> list[Any]:
    """The stored rows of an export, from `start` on."""
    upto = ledger.record(job_id).users if end is None else end

    async def read() -> list[Any]:
        async with aclosing(FollowerRows(ledger.client).rows(job_id, start, upto)) as pages:
            return [json.loads(line) async for some in pages for line in some]

    return ledger.run(read())


def new_rows(ledger: LedgerHarness, job_id: str, page: Sequence[Row]) -> list[Row]:
    """The rows of a page that an export does not have yet."""
    return ledger.run(FollowerRows(ledger.client).deduplicate(job_id, page))


def export_with_rows(ledger: LedgerHarness, users: int, **changes: Any) -> str:
    """An export with so many rows, written directly to their keys; return its job id.

    The set of known pks is left out: only the export uses it, not the readers of its rows.
    """
    job_id = add_export(ledger, **changes)
    key, piece = f"hg:rows:{job_id}", 20_000
    for start in range(0, users, piece):
        packed = row_batches(rows(start, min(users, start + piece)))
        ledger.store.zadd(
            key,
            {
                b"%d:%b" % (start + PAGE * number, parcel.packed): start + PAGE * number
                for number, parcel in enumerate(packed)
            },
        )
    ledger.store.hset(f"hg:job:{job_id}", mapping={"users": users, "pk": PK})
    return job_id
