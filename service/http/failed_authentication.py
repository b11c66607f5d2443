"""Throttles the guessing of keys, by client.

Only requests with a wrong key are ever refused for it: whoever has a right key passes, also from
behind the address of somebody who guesses.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Final

from starlette.types import Scope

from service.http.client_address import client_address, client_network
from service.logging.setup import get_logger
from service.logging.summaries import LogSummaries

#: Wrong keys that one client may send in one window.
MAX_FAILURES: Final = 60
WINDOW_SECONDS: Final = 60.0
#: Clients remembered at once; then the one whose window began first is forgotten.
MAX_CLIENTS: Final = 10_000

_log = get_logger(__name__)


@dataclass
class _Window:
    began_at: float
    failures: int = 0


class FailedAuthentication:
    """Counts, logs and limits requests without a right key.

    Parameters:
      count: Counts an outcome: the counter's name, then the outcome.
      now: A clock in seconds that never goes back.
    """

    def __init__(
        self,
        count: Callable[[str, str], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count = count
        self._now = now
        self._windows: dict[str, _Window] = {}
        self._summaries = LogSummaries(_log.warning, "authentication failed")

    def add(self, scope: Scope, *, has_key: bool) -> int | None:
        """Note a request without a right key.

        Parameters:
          scope: Of the request or WebSocket.
          has_key: Whether it has a key at all: one without guesses nothing.

        Returns:
          None, or the seconds after which the client may try again.
        """
        retry_after = self._throttle(client_network(scope)) if has_key else None
        outcome = "missing_key" if not has_key else "wrong_key" if not retry_after else "throttled"
        self._count("authentication_failed", outcome)
        self._summaries.add(client_address(scope), reason=outcome)
        return retry_after

    def flush(self) -> None:
        """Log what has been counted, because the process ends."""
        self._summaries.flush()

    def _throttle(self, client: str) -> int | None:
        now = self._now()
        window = self._windows.get(client)
        if window is None or now - window.began_at >= WINDOW_SECONDS:
            window = self._begin_window(client, now)
        window.failures += 1
        if window.failures <= MAX_FAILURES:
            return None
        return max(1, ceil(window.began_at + WINDOW_SECONDS - now))

    def _begin_window(self, client: str, now: float) -> _Window:
        self._windows.pop(client, None)
        if len(self._windows) >= MAX_CLIENTS:
            del self._windows[next(iter(self._windows))]
        window = self._windows[client] = _Window(now)
        return window
