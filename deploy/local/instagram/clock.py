"""The fake Instagram's clock, which tests can set wrong."""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import formatdate


@dataclass(eq=False)
class Clock:
    """What Instagram takes the time to be.

    Parameters:
        offset_seconds: how far it is ahead of this machine's clock; negative when behind.
    """

    offset_seconds: float = 0.0

    def shown(self, at: float) -> float:
        """A Unix time of this machine as Instagram tells it."""
        return at + self.offset_seconds

    def date_header(self) -> tuple[bytes, bytes]:
        """The `Date` of a reply that leaves now (RFC 9110, 6.6.1)."""
        return b"date", formatdate(self.shown(time.time()), usegmt=True).encode()
