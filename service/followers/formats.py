"""The formats of a follower export: NDJSON, CSV, or a page of JSON. Pure."""

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
#: The first one that the client accepts is sent.
FORMATS: Final[tuple[Format, ...]] = (NDJSON, CSV, JSON)

#: Rows as JSON, a batch at a time.
RowPages = AsyncGenerator[list[bytes], None]

COLUMNS: Final = ("pk", "username", "full_name", "is_private", "is_verified")
#: First characters that make spreadsheets evaluate a cell (OWASP, "CSV Injection"); the last four
#: are the full-width forms of the first four.
_FORMULAS: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


async def as_ndjson(pages: RowPages) -> AsyncGenerator[bytes, None]:
    """One JSON object per line; an empty batch becomes an empty line, as a keepalive.

    Parameters:
      pages: Closed with the returned generator.
    """
    async with aclosing(pages):
        async for rows in pages:
            yield b"\n".join(rows) + b"\n"


async def as_csv(pages: RowPages, *, heading: bool) -> AsyncGenerator[bytes, None]:
    """CSV (RFC 4180).

    Parameters:
      pages: Closed with the returned generator.
      heading: Whether to start with the column names.
    """
    async with aclosing(pages):
        if heading:
            yield _csv([COLUMNS])
        async for rows in pages:
            yield _csv(_cells(json.loads(row)) for row in rows)


def as_page(rows: Sequence[bytes], next_cursor: str | None) -> bytes:
    """A page of JSON, in the form of every list of the API.

    Parameters:
      rows: As JSON.
      next_cursor: The cursor of the next page; None on the last.
    """
    return b'{"items":[%b],"next":%b}' % (b",".join(rows), json.dumps(next_cursor).encode())


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cells(row: dict[str, Any]) -> list[str]:
    return [_cell(row.get(column, "")) for column in COLUMNS]


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULAS) else text
