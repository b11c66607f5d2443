"""The forms in which a walk's rows are told: lines of JSON, a sheet, a page of JSON. Pure."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from typing import Any, Final, Literal

NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv"
JSON: Final = "application/json"
Format = Literal["application/x-ndjson", "text/csv", "application/json"]
#: The first that fits is told.
FORMATS: Final[tuple[Format, ...]] = (NDJSON, CSV, JSON)

#: Rows as JSON, some at a time.
RowPages = AsyncGenerator[list[bytes], None]

COLUMNS: Final = ("pk", "username", "full_name", "is_private", "is_verified")
#: What spreadsheets take for the beginning of a formula (OWASP, "CSV Injection"); the last four
#: are the first ones in full width.
_FORMULAS: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


async def as_ndjson(pages: RowPages) -> AsyncGenerator[bytes, None]:
    """Lines of JSON, a row each; an empty line for no rows, as a sign of life.

    Parameters:
      pages: Closed with it.
    """
    async with aclosing(pages):
        async for rows in pages:
            yield b"\n".join(rows) + b"\n"


async def as_csv(pages: RowPages, *, heading: bool) -> AsyncGenerator[bytes, None]:
    """A sheet (RFC 4180).

    Parameters:
      pages: Closed with it.
      heading: Whether it begins with the names of the columns.
    """
    async with aclosing(pages):
        if heading:
            yield _sheet([COLUMNS])
        async for rows in pages:
            yield _sheet(_cells(json.loads(row)) for row in rows)


def as_page(rows: Sequence[bytes], following: str | None) -> bytes:
    """A page of JSON, as lists are told everywhere.

    Parameters:
      rows: As JSON.
      following: The cursor of the next page; None where nothing follows.
    """
    return b'{"items":[%b],"next":%b}' % (b",".join(rows), json.dumps(following).encode())


def _sheet(rows: Iterable[Sequence[str]]) -> bytes:
    sheet = io.StringIO()
    csv.writer(sheet).writerows(rows)
    return sheet.getvalue().encode()


def _cells(row: dict[str, Any]) -> list[str]:
    return [_cell(row.get(column, "")) for column in COLUMNS]


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULAS) else text
