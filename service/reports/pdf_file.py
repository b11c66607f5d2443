"""A report as PDF, drawn by a process with limits: that takes a processor for seconds."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from service.process.limited_subprocess import run_limited
from service.stats.summary import GroupBy, Summary

#: The largest file that is kept: some hundred pages.
MAX_BYTES: Final = 2 * 1024 * 1024
#: Lines of the table; a longer one is cut off, and the file says so.
MAX_LINES: Final = 1_000

LIMITS: Final[Mapping[str, int]] = {
    "output_bytes": MAX_BYTES,
    "memory_bytes": 512 * 1024 * 1024,
    "cpu_seconds": 20,
    "seconds": 30,
}
#: The program of the process.
PROGRAM: Final = str(Path(__file__).with_name("pdf_program.py"))


class DrawingFailed(Exception):
    """The process did not draw the report, or not within its limits."""


class PdfDrawer:
    """Draws reports.

    Parameters:
      limits: Like LIMITS.
      program: Path of the Python file that the processes run.
    """

    def __init__(self, limits: Mapping[str, int] = LIMITS, program: str = PROGRAM) -> None:
        self._limits = dict(limits)
        self._program = program

    async def draw(self, summary: Summary, by: GroupBy) -> bytes:
        """Draw the report of a summary. The same numbers give the same bytes.

        Raises:
          DrawingFailed: No process could be started, or it failed.
        """
        with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as result:
            source.write(json.dumps(document(summary, by)).encode())
            source.seek(0)
            try:
                code = await run_limited(self._program, self._limits, source, result)
            except OSError as error:
                raise DrawingFailed(type(error).__name__) from error
            if code:
                raise DrawingFailed(f"the process exited with code {code}")
            result.seek(0)
            pdf = result.read()
        if not pdf.startswith(b"%PDF-"):
            raise DrawingFailed("the process wrote no PDF")
        return pdf


def document(summary: Summary, by: GroupBy) -> dict[str, Any]:
    """What the program draws: the answer of `GET /stats`, with the days for its chart."""
    shown = summary.public(by)
    callbacks = summary.callbacks.public()
    days = [
        {"day": item["day"], "sent": item["sent"], "failed": item["failed"]["total"]}
        for item in summary.items("day")
    ]
    cut_off = max(0, len(shown["items"]) - MAX_LINES)
    return {
        **shown,
        "callbacks": callbacks,
        "items": shown["items"][:MAX_LINES],
        "cut_off": cut_off,
        "days": days,
    }
