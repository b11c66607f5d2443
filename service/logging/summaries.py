"""Bounded logging of what anybody on the network can cause: at once, then in sums.

The first of a kind is logged as it happens. Those that follow are counted, and logged in one line a
minute for as long as there are any. So a flood makes as many lines as there are kinds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

SUMMARY_SECONDS: Final = 60.0

_Kind = tuple[tuple[str, str], ...]


@dataclass
class _Repeats:
    count: int = 0
    address: str = ""


class LogSummaries:
    """Logs one message, by kind.

    Parameters:
      log: Writes a line: the message, then its fields.
      message: The message.
      seconds: The time between two lines of one kind.
    """

    def __init__(
        self, log: Callable[..., Any], message: str, seconds: float = SUMMARY_SECONDS
    ) -> None:
        self._log = log
        self._message = message
        self._seconds = seconds
        self._repeats: dict[_Kind, _Repeats] = {}

    def add(self, address: str, **kind: str) -> None:
        """Log it, or count it if one of this kind was logged less than a minute ago.

        Must be called in a running event loop.

        Parameters:
          address: Of whoever caused it; the line has the last one.
          kind: Fields whose values the configuration or the code bounds.
        """
        key = tuple(kind.items())
        repeats = self._repeats.get(key)
        if repeats is None:
            self._log(self._message, **kind, address=address)
            self._count_later(key)
        else:
            repeats.count += 1
            repeats.address = address

    def flush(self) -> None:
        """Log what has been counted, because the process ends."""
        for key in list(self._repeats):
            self._write(key, self._repeats.pop(key))

    def _count_later(self, key: _Kind) -> None:
        self._repeats[key] = _Repeats()
        asyncio.get_running_loop().call_later(self._seconds, self._summarize, key)

    def _summarize(self, key: _Kind) -> None:
        repeats = self._repeats.pop(key, None)
        if repeats is not None and repeats.count:
            self._write(key, repeats)
            self._count_later(key)

    def _write(self, key: _Kind, repeats: _Repeats) -> None:
        if repeats.count:
            fields = {**dict(key), "address": repeats.address, "count": repeats.count}
            self._log(self._message, **fields)
