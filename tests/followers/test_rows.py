"""Stored follower rows: any range can be read, and missing rows are never skipped."""

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

#: Characters that some readers treat as line ends, and characters of every width.
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
def test_a_row_is_stored_unchanged_and_as_one_line(name: str) -> None:
    page = [row(1, full_name=name), row(2)]
    [batch] = row_batches(page)
    lines = unpack(batch.packed)
    assert [json.loads(line) for line in lines] == page
    assert b"\n".join(lines).decode().splitlines() == [line.decode() for line in lines]


@pytest.mark.parametrize("count", [0, 1, BATCH_ROWS, BATCH_ROWS + 1, 1_000])
def test_a_page_is_split_into_batches(count: int) -> None:
    packed = row_batches(rows(0, count))
    assert [pk for batch in packed for pk in batch.pks] == [one["pk"] for one in rows(0, count)]
    assert all(1 <= len(batch.pks) <= BATCH_ROWS for batch in packed)


def test_packed_rows_are_small() -> None:
    [batch] = row_batches(rows(0, BATCH_ROWS))
    assert len(batch.packed) < 20 * BATCH_ROWS


# -- reading


def export_of_uneven_pages(ledger: LedgerHarness, seed: int) -> tuple[str, int]:
    """An export with pages of every length; its id and number of rows."""
    rng, users = random.Random(seed), 0
    job_id = started_export(ledger)
    for number in range(30):
        count = rng.choice([0, 1, 3, 17, BATCH_ROWS, BATCH_ROWS + 1, 3 * BATCH_ROWS])
        assert (
            claim_and_append(ledger, job_id, rows(users, users + count), f"{number}", expected=9**9)
            == "more"
        )
        users += count
    return job_id, users


@pytest.mark.parametrize("seed", range(3))
def test_any_range_of_rows_can_be_read(ledger: LedgerHarness, seed: int) -> None:
    job_id, users = export_of_uneven_pages(ledger, seed)
    rng = random.Random(seed)
    edges = [0, 1, users - 1, users]
    for _ in range(60):
        start, end = sorted((*rng.sample(range(users + 1), 1), rng.choice(edges)))
        assert stored_rows(ledger, job_id, start, end) == rows(start, end)


def test_an_empty_range_reads_nothing(ledger: LedgerHarness) -> None:
    assert stored_rows(ledger, started_export(ledger), 0, 0) == []
    assert stored_rows(ledger, started_export(ledger, account="other"), 7, 7) == []


def test_few_rows_are_in_memory_at_a_time(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger)
    assert claim_and_append(ledger, job_id, rows(0, 10_000), "1") == "more"
    before = ledger.store.info("commandstats")["cmdstat_zrange"]["calls"]

    async def read_some() -> int:
        pages = FollowerRows(ledger.client).rows(job_id, 0, 10_000)
        page = [len(await anext(pages)) for _ in range(READ_BATCHES)]
        await pages.aclose()
        return max(page)

    assert ledger.run(read_some()) <= BATCH_ROWS
    # One call finds the first batch, another reads the first batches
    assert ledger.store.info("commandstats")["cmdstat_zrange"]["calls"] - before == 2


@pytest.mark.parametrize("missing", ["all", "first", "middle", "last"])
def test_missing_rows_raise_an_error(ledger: LedgerHarness, missing: str) -> None:
    job_id = started_export(ledger, 10)
    key = f"hg:rows:{job_id}"
    if missing == "all":
        ledger.store.delete(key)
    else:
        at = {"first": 0, "middle": 5, "last": -1}[missing]
        ledger.store.zremrangebyrank(key, at, at)
    with pytest.raises(RowsExpired):
        stored_rows(ledger, job_id)


def test_rows_deleted_while_they_are_read_raise_an_error(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 10)

    async def read() -> list[bytes]:
        pages = FollowerRows(ledger.client).rows(job_id, 0, 2_000)
        found = await anext(pages)
        ledger.store.delete(f"hg:rows:{job_id}")
        return found + [line async for some in pages for line in some]

    with pytest.raises(RowsExpired):
        ledger.run(read())


def test_rows_can_be_read_while_the_export_runs(ledger: LedgerHarness) -> None:
    job_id = started_export(ledger, 2)

    async def first() -> list[bytes]:
        return [
            line async for some in FollowerRows(ledger.client).rows(job_id, 0, 400) for line in some
        ]

    before = ledger.run(first())
    claim_and_append(ledger, job_id, rows(400, 600), "3")
    assert ledger.run(first()) == before
    assert stored_rows(ledger, job_id, 400) == rows(400, 600)
