"""Formats of follower rows: NDJSON, CSV and JSON pages."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from service.followers.formats import COLUMNS, as_csv, as_ndjson, as_page
from tests.support.follower_rows import row, rows


async def batches(*parts: Sequence[dict[str, Any]]) -> AsyncGenerator[list[bytes], None]:
    """Rows in batches."""
    for part in parts:
        yield [json.dumps(one).encode() for one in part]


def read_all(stream: AsyncGenerator[bytes, None]) -> bytes:
    """The whole stream."""

    async def read() -> bytes:
        return b"".join([chunk async for chunk in stream])

    return asyncio.run(read())


def csv_cells(*items: dict[str, Any], heading: bool = True) -> list[list[str]]:
    """The cells of rows as read from CSV."""
    text = read_all(as_csv(batches(items), heading=heading)).decode()
    return list(csv.reader(io.StringIO(text, newline="")))


def test_ndjson_has_one_row_per_line() -> None:
    text = read_all(as_ndjson(batches(rows(0, 3), rows(3, 5))))
    assert text.endswith(b"\n")
    assert [json.loads(line) for line in text.splitlines()] == rows(0, 5)


def test_an_empty_batch_becomes_an_empty_line() -> None:
    assert read_all(as_ndjson(batches(rows(0, 1), (), rows(1, 2)))).count(b"\n\n") == 1


def test_csv_starts_with_its_column_names_unless_it_continues() -> None:
    first = ["70000000000", "follower.0000000", "Follower 0", "true", "true"]
    assert csv_cells(row(0)) == [[*COLUMNS], first]
    assert csv_cells(row(0), heading=False) == [first]
    assert csv_cells() == [[*COLUMNS]]


@pytest.mark.parametrize("name", ['a "quoted", name', "two\nlines", "Zoë 李 🦊", "a;b\tc", ""])
def test_names_survive_csv(name: str) -> None:
    [_, cells] = csv_cells(row(1, full_name=name))
    assert cells[COLUMNS.index("full_name")] == name


@pytest.mark.parametrize("beginning", [*"=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"])
def test_values_that_a_spreadsheet_would_evaluate_are_quoted(beginning: str) -> None:
    formula = f'{beginning}HYPERLINK("http://evil.example";"click")'
    [_, cells] = csv_cells(row(1, full_name=formula))
    assert cells[COLUMNS.index("full_name")] == f"'{formula}"


def test_missing_fields_of_an_older_release_are_empty_cells() -> None:
    short = {"pk": "1", "username": "somebody"}
    assert csv_cells(short, heading=False) == [["1", "somebody", "", "", ""]]


@pytest.mark.parametrize("following", [None, "200"])
def test_a_json_page_has_the_format_of_every_list(following: str | None) -> None:
    lines = [json.dumps(one).encode() for one in rows(0, 3)]
    assert json.loads(as_page(lines, following)) == {"items": rows(0, 3), "next": following}


@pytest.mark.parametrize("encode", [as_ndjson, lambda items: as_csv(items, heading=True)])
def test_a_stream_closed_early_closes_its_source(encode: Any) -> None:
    closed = []

    async def source() -> AsyncGenerator[list[bytes], None]:
        try:
            while True:
                yield [json.dumps(row(1)).encode()]
        finally:
            closed.append(True)

    async def close_early() -> None:
        stream = encode(source())
        for _ in range(3):
            await anext(stream)
        await stream.aclose()

    asyncio.run(close_early())
    assert closed == [True]
