"""The formats of a follower export: NDJSON, CSV, or a page of JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final, Literal

from service.unicode_text.csv_cells import csv_lines, plain_cell

NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv"
JSON: Final = "application/json"
Format = Literal["application/x-ndjson", "text/csv", "application/json"]
#: The first one that the client accepts is sent.
FORMATS: Final[tuple[Format, ...]] = (NDJSON, CSV, JSON)

#: Rows as JSON, a batch at a time.
RowPages = AsyncGenerator[list[bytes], None]

COLUMNS: Final = ("pk", "username", "full_name", "is_private", "is_verified")


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
            yield csv_lines([COLUMNS])
        async for rows in pages:
            yield csv_lines(_cells(json.loads(row)) for row in rows)


def as_page(rows: Sequence[bytes], next_cursor: str | None) -> bytes:
    """A page of JSON, in the form of every list of the API.

    Parameters:
      rows: As JSON.
      next_cursor: The cursor of the next page; None on the last.
    """
    return b'{"items":[%b],"next":%b}' % (b",".join(rows), json.dumps(next_cursor).encode())


def _cells(row: dict[str, Any]) -> list[str]:
    return [_cell(row.get(column, "")) for column in COLUMNS]


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return plain_cell(str(value))
