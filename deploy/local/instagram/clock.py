"""The fake Instagram's clock, which tests can shift."""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import formatdate


@dataclass(eq=False)
class Clock:
    """Instagram's clock.

    Parameters:
        offset_seconds: how far it is ahead of this machine's clock; negative when behind.
    """

    offset_seconds: float = 0.0

    def shown(self, at: float) -> float:
        """Convert a Unix time of this machine to Instagram's clock."""
        return at + self.offset_seconds

    def date_header(self) -> tuple[bytes, bytes]:
        """The `Date` header of a reply sent now (RFC 9110, 6.6.1)."""
        return b"date", formatdate(self.shown(time.time()), usegmt=True).encode()
