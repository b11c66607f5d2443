"""What a verification lookup has read, as it is stored with its job and shown. Pure data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

_THREAD_ID: Final = re.compile(r"[0-9]{1,64}")
_STORED: Final = re.compile(r"\d+ \d+ \d+ \d+ \d+ [01]")


@dataclass
class VerificationReport:
    """What a verification has read so far; it fills this in while it reads.

    Parameters:
      thread_id: The DM's thread; '' where there is none, or none was found yet.
      pages: Pages of messages or comments that were read.
      rows: Messages or comments on them.
      matching: Those that are the write by its text and time; one of no other job is the write.
      similar: Those that may be the write.
      complete: Whether what was not read cannot show the write.
    """

    thread_id: str = ""
    pages: int = 0
    rows: int = 0
    matching: int = 0
    similar: int = 0
    complete: bool = False

    def restart(self) -> None:
        """Begin anew: a call is made again after a login."""
        self.thread_id, self.pages, self.rows = "", 0, 0
        self.matching, self.similar, self.complete = 0, 0, False

    def add_page(self, rows: int) -> None:
        """Count a page with so many messages or comments."""
        self.pages += 1
        self.rows += rows

    def encode(self) -> str:
        """The report as the scripts take it: its numbers, a slash, and the thread's id if known.

        An id that is no number is left out.
        """
        numbers = (self.pages, self.rows, self.matching, self.similar, int(self.complete))
        thread_id = self.thread_id if _THREAD_ID.fullmatch(self.thread_id) else ""
        return f"{' '.join(map(str, numbers))}/{thread_id}"

    @classmethod
    def decode(cls, stored: str, thread_id: str) -> tuple[int, VerificationReport] | None:
        """When the report was stored (Unix milliseconds), and the report; None if there is none.

        Parameters:
          stored: The job's field `looked`: the time and the numbers.
          thread_id: The job's field `looked_in`.
        """
        if not _STORED.fullmatch(stored):
            return None
        at_ms, pages, rows, matching, similar, complete = map(int, stored.split())
        return at_ms, cls(thread_id, pages, rows, matching, similar, bool(complete))

    def public(self) -> dict[str, Any]:
        """The report as the API shows it."""
        return {
            "pages": self.pages,
            "rows": self.rows,
            "matching": self.matching,
            "similar": self.similar,
            "complete": self.complete,
        }
