"""Rows as they are kept and read back: from any row to any other, and never too few in silence."""

from __future__ import annotations

import json
import random

import pytest

from service.followers.rows import (
    BATCH_ROWS,
    READ_BATCHES,
    FollowerRows,
    RowsExpired,
    row_batches,
    unpack,
)
from tests.support.follower_rows import claim_and_append, row, rows, started_export, stored_rows
from tests.support.ledger import LedgerHarness

#: Ends of lines to some reader or other, and characters of every width.
NAMES = [
    "Zoë Ångström",
    "李小龍",
    "🦊🦊",
    "a\nb\rc",
    "tab\there",
    "next\u0085line",
    "line\u2028and\u2029paragraph",
    'quotes " and \\ slashes',
    "\x00\x1e",
    "",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_row_comes_back_as_it_was_and_is_one_line_to_every_reader(name: str) -> None:
    given = [row(1, full_name=name), row(2)]
    [parcel] = row_batches(given)
    lines = unpack(parcel.packed)
    assert [json.loads(line) for line in lines] == given
    assert b"\n".join(lines).decode().splitlines() == [line.decode() for line in lines]


@pytest.mark.parametrize("count", [0, 1, BATCH_ROWS, BATCH_ROWS + 1, 1_000])
def test_a_page_is_packed_a_parcel_at_a_time(count: int) -> None:
    packed = row_batches(rows(0, count))
    assert [pk for parcel in packed for pk in parcel.pks] == [each["pk"] for each in rows(0, count)]
    assert all(1 <= len(parcel.pks) <= BATCH_ROWS for parcel in packed)


def test_a_row_takes_few_bytes_once_it_is_packed() -> None:
    [parcel] = row_batches(rows(0, BATCH_ROWS))
    assert len(parcel.packed) < 20 * BATCH_ROWS


# -- reading


def uneven(ledger: LedgerHarness, seed: int) -> tuple[str, int]:
    """A walk whose pages are of every length; its id and how many rows it has found."""
    dice, users = random.Random(seed), 0
    job_id = started_export(ledger)
    for number in range(30):
        count = dice.choice([0, 1, 3, 17, BATCH_ROWS, BATCH_ROWS + 1, 3 * BATCH_ROWS])
        assert (
            claim_and_append(ledger, job_id, rows(users, users + count), f"{number}", expected=9**9)
            == "more"
        )
        users += count
    return job_id, users


@pytest.mark.parametrize("seed", range(3))
def test_any_rows_are_read_from_any_to_any(ledger: LedgerHarness, seed: int) -> None:
    job_id, users = uneven(ledger, seed)
    dice = random.Random(seed)
    edges = [0, 1, users - 1, users]
    for _ in range(60):
        start, end = sorted((*dice.sample(range(users + 1), 1), dice.choice(edges)))
        assert stored_rows(ledger, job_id, start, end) == rows(start, end)


def test_no_rows_are_asked_of_nobody(ledger: LedgerHarness) -> None:
    assert stored_rows(ledger, started_export(ledger), 0, 0) == []
    assert stored_rows(ledger, started_export(ledger, account="other"), 7, 7) == []


def test_few_rows_are_in_memory_at_a_time(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger)
    assert claim_and_append(ledger, job_id, rows(0, 10_000), "1") == "more"
    before = ledger.store.info("commandstats")["cmdstat_zrange"]["calls"]

    async def read_some() -> int:
        pages = FollowerRows(ledger.client).rows(job_id, 0, 10_000)
        given = [len(await anext(pages)) for _ in range(READ_BATCHES)]
        await pages.aclose()
        return max(given)

    assert ledger.run(read_some()) <= BATCH_ROWS
    # One look for the parcel to begin with, and one round trip for the first of them
    assert ledger.store.info("commandstats")["cmdstat_zrange"]["calls"] - before == 2


@pytest.mark.parametrize("harm", ["all", "first", "middle", "last"])
def test_rows_that_are_gone_are_never_left_out_in_silence(ledger: LedgerHarness, harm: str) -> None:
    job_id = started_export(ledger, 10)
    key = f"hg:rows:{job_id}"
    if harm == "all":
        ledger.store.delete(key)
    else:
        at = {"first": 0, "middle": 5, "last": -1}[harm]
        ledger.store.zremrangebyrank(key, at, at)
    with pytest.raises(RowsExpired):
        stored_rows(ledger, job_id)


def test_rows_that_vanish_while_they_are_read_are_noticed(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 10)

    async def read() -> list[bytes]:
        pages = FollowerRows(ledger.client).rows(job_id, 0, 2_000)
        found = await anext(pages)
        ledger.store.delete(f"hg:rows:{job_id}")
        return found + [line async for some in pages for line in some]

    with pytest.raises(RowsExpired):
        ledger.run(read())


def test_rows_are_read_while_the_walk_goes_on(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 2)

    async def first() -> list[bytes]:
        return [
            line async for some in FollowerRows(ledger.client).rows(job_id, 0, 400) for line in some
        ]

    before = ledger.run(first())
    claim_and_append(ledger, job_id, rows(400, 600), "3")
    assert ledger.run(first()) == before
    assert stored_rows(ledger, job_id, 400) == rows(400, 600)
