"""Shuts a worker down once, however many signals it receives, and in bounded time.

The Dramatiq master forwards SIGTERM to its workers, and platforms signal every process as well.
The stock handler takes a second one as a request to exit immediately, in the middle of the work;
this one ignores it, since the shutdown is bounded in time anyway.

Two cases remain out of reach, because the master imports none of our code. A SIGTERM before the
master blocks signals (while Python starts), or another one while Python finalises it, ends the
master by that signal (-15); neither loses work. And the stock handler fails on a signal that
reaches a worker between its fork and its import of the broker, some milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from dramatiq import Broker, Worker
from dramatiq.middleware import Middleware

#: A process still running this long after the signal exits at once; its leases expire.
FORCED_EXIT_SECONDS: Final = 23.5


class ShutdownMiddleware(Middleware):
    """Passes the first SIGTERM (or SIGHUP) to Dramatiq's handler and drops the others."""

    def __init__(self) -> None:
        # Not an Event: a second signal during the first one's `set` would deadlock.
        self._requested_at: float | None = None
        self._installed = False

    def stopping(self) -> bool:
        """Whether the process was told to stop."""
        return self._requested_at is not None

    def seconds_since_request(self) -> float:
        """How long ago the process was told to stop; 0 when it was not."""
        return 0.0 if self._requested_at is None else time.monotonic() - self._requested_at

    def install(self) -> None:
        """Wrap Dramatiq's handlers; called as early as possible, since boot takes seconds.

        In a process that is no Dramatiq worker there are none, and nothing changes.
        """
        for number in (signal.SIGTERM, signal.SIGHUP):
            handler = signal.getsignal(number)
            if callable(handler):
                self._installed = True
                signal.signal(number, self._first_only(handler))

    def before_worker_shutdown(self, _broker: Broker, _worker: Worker) -> None:
        """Make sure that the process ends, whatever may hang from here on."""
        if self._requested_at is None:
            self._requested_at = time.monotonic()
        if self._installed:
            seconds = max(0, FORCED_EXIT_SECONDS - self.seconds_since_request())
            timer = threading.Timer(seconds, os._exit, [0])
            timer.daemon = True
            timer.start()

    def _first_only(self, handler: Callable[[int, FrameType | None], Any]) -> Callable[..., None]:
        def handle(signum: int, frame: FrameType | None) -> None:
            if self._requested_at is None:
                self._requested_at = time.monotonic()
                # Dramatiq's handler may have had a signal before `install`; it takes this one for
                # the second, and exits.
                with contextlib.suppress(SystemExit):
                    handler(signum, frame)

        return handle
