"""CSV that spreadsheets read as text (RFC 4180). Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

#: First characters that make spreadsheets evaluate a cell (OWASP, "CSV Injection"); the last four
#: are the full-width forms of the first four.
_FORMULAS: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def plain_cell(text: str) -> str:
    """A text as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULAS) else text


def csv_lines(rows: Iterable[Sequence[object]]) -> bytes:
    """Rows as lines of CSV, UTF-8."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
