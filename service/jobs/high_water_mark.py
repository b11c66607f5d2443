"""The high-water mark of one process: by it the store's loss of history is noticed.

The process numbers its calls that record something, and remembers the highest number that the
store has confirmed. A store that knows a lower one has lost what came after it: it is a replica
that was promoted, was restored from a backup, or crashed before it had written everything down
(`lua/lib/history.lua`).
"""

from __future__ import annotations

import threading
import time
import uuid
from typing import Final, Literal, NamedTuple

#: After so long without a confirmation nothing is said of earlier ones. Longer, and the store may
#: have dropped the mark of an idle process.
VALID_SECONDS: Final = 7 * 24 * 3600.0


class Raise(NamedTuple):
    """One raise of a mark, as the scripts take it.

    Parameters:
      process: Whose mark it is.
      number: What to raise it to.
      seen: The highest number that the store has confirmed; 0 for none.
      age: How long ago that was, in ms.
    """

    process: str
    number: int
    seen: int
    age: int


class HighWaterMark:
    """Numbers the calls of a process and remembers which were confirmed; safe for threads.

    Parameters:
      tier: The kind of process. Only workers make writes that a store can forget.
    """

    def __init__(self, tier: Literal["web", "worker"]) -> None:
        #: Its name in hg:marks.
        self.process: Final = f"{tier}:{uuid.uuid4().hex[:12]}"
        self._lock = threading.Lock()
        self._number = 0
        self._seen = 0
        self._seen_at = 0.0

    def next_raise(self) -> Raise:
        """The mark's part of the next call's arguments."""
        with self._lock:
            self._number += 1
            age = time.monotonic() - self._seen_at
            seen = self._seen if age < VALID_SECONDS else 0
            return Raise(self.process, self._number, seen, round(age * 1000))

    def confirm(self, raised: Raise) -> None:
        """Remember that the store has replied to the call with this raise."""
        with self._lock:
            self._seen = max(self._seen, raised.number)
            self._seen_at = time.monotonic()

    @property
    def withdrawn(self) -> str:
        """The mark of a process that has stopped: its number, and a time long ago.

        It is not deleted: a call that is still on its way would seem to have lost everything.
        """
        return f"{self._number} 1 0"
