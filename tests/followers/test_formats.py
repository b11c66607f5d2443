"""Rows as lines of JSON, as a sheet and as a page."""

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


async def pages(*parts: Sequence[dict[str, Any]]) -> AsyncGenerator[list[bytes], None]:
    """Rows, some at a time."""
    for part in parts:
        yield [json.dumps(each).encode() for each in part]


def told(stream: AsyncGenerator[bytes, None]) -> bytes:
    """All of a stream."""

    async def read() -> bytes:
        return b"".join([chunk async for chunk in stream])

    return asyncio.run(read())


def sheet(*given: dict[str, Any], heading: bool = True) -> list[list[str]]:
    """Rows as a reader of the sheet finds them."""
    text = told(as_csv(pages(given), heading=heading)).decode()
    return list(csv.reader(io.StringIO(text, newline="")))


def test_lines_of_json_have_a_row_each_and_an_end_each() -> None:
    text = told(as_ndjson(pages(rows(0, 3), rows(3, 5))))
    assert text.endswith(b"\n")
    assert [json.loads(line) for line in text.splitlines()] == rows(0, 5)


def test_no_rows_for_a_while_are_an_empty_line() -> None:
    assert told(as_ndjson(pages(rows(0, 1), (), rows(1, 2)))).count(b"\n\n") == 1


def test_a_sheet_begins_with_the_names_of_its_columns_or_goes_on_without() -> None:
    first = ["70000000000", "follower.0000000", "Follower 0", "true", "true"]
    assert sheet(row(0)) == [[*COLUMNS], first]
    assert sheet(row(0), heading=False) == [first]
    assert sheet() == [[*COLUMNS]]


@pytest.mark.parametrize("name", ['a "quoted", name', "two\nlines", "Zoë 李 🦊", "a;b\tc", ""])
def test_a_name_in_a_sheet_is_read_as_it_was(name: str) -> None:
    [_, cells] = sheet(row(1, full_name=name))
    assert cells[COLUMNS.index("full_name")] == name


@pytest.mark.parametrize("beginning", [*"=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"])
def test_what_a_spreadsheet_would_calculate_is_text(beginning: str) -> None:
    formula = f'{beginning}HYPERLINK("http://evil.example";"click")'
    [_, cells] = sheet(row(1, full_name=formula))
    assert cells[COLUMNS.index("full_name")] == f"'{formula}"


def test_a_row_of_an_older_release_lacks_nothing_but_what_it_did_not_know() -> None:
    short = {"pk": "1", "username": "somebody"}
    assert sheet(short, heading=False) == [["1", "somebody", "", "", ""]]


@pytest.mark.parametrize("following", [None, "200"])
def test_a_page_of_json_is_as_every_list(following: str | None) -> None:
    lines = [json.dumps(each).encode() for each in rows(0, 3)]
    assert json.loads(as_page(lines, following)) == {"items": rows(0, 3), "next": following}


@pytest.mark.parametrize("form", [as_ndjson, lambda given: as_csv(given, heading=True)])
def test_a_form_that_is_left_early_closes_what_it_reads(form: Any) -> None:
    closed = []

    async def source() -> AsyncGenerator[list[bytes], None]:
        try:
            while True:
                yield [json.dumps(row(1)).encode()]
        finally:
            closed.append(True)

    async def leave() -> None:
        stream = form(source())
        for _ in range(3):
            await anext(stream)
        await stream.aclose()

    asyncio.run(leave())
    assert closed == [True]
