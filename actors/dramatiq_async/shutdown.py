"""Stopping once, however often a process is told to, and in time.

The Dramatiq master forwards SIGTERM to its workers and platforms signal every process too. The
stock handler takes the second one as an order to die in the middle of its work; this one ignores
it, for shutting down is bounded in time anyway.

What stays out of reach: the master imports nothing of ours. A SIGTERM before it blocks signals
(while Python starts), or one more while Python finalises it, ends the master by that signal
(-15); no work is lost by either. So does the stock handler fail on one that reaches a worker
between its fork and its import of the broker, some milliseconds.
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

#: A process that has not ended by then after it was told to leaves as it is: leases lapse.
FORCED_EXIT_SECONDS: Final = 23.5


class ShutdownMiddleware(Middleware):
    """Hands the first SIGTERM (or SIGHUP) to Dramatiq's handler and drops the others."""

    def __init__(self) -> None:
        # Not an Event: a second signal inside the first one's `set` would wait for itself.
        self._requested_at: float | None = None
        self._installed = False

    def stopping(self) -> bool:
        """Whether the process was told to stop."""
        return self._requested_at is not None

    def seconds_since_request(self) -> float:
        """How long ago the process was told to stop; 0 when it was not."""
        return 0.0 if self._requested_at is None else time.monotonic() - self._requested_at

    def install(self) -> None:
        """Wrap Dramatiq's handlers, as soon as there is anything of ours: boot takes seconds.

        Where there are none, in a process that is no worker, nothing is changed.
        """
        for number in (signal.SIGTERM, signal.SIGHUP):
            inner = signal.getsignal(number)
            if callable(inner):
                self._installed = True
                signal.signal(number, self._first_only(inner))

    def before_worker_shutdown(self, _broker: Broker, _worker: Worker) -> None:
        """See to it that the process ends, whatever may hang from here on."""
        if self._requested_at is None:
            self._requested_at = time.monotonic()
        if self._installed:
            timer = threading.Timer(
                max(0, FORCED_EXIT_SECONDS - self.seconds_since_request()), os._exit, [0]
            )
            timer.daemon = True
            timer.start()

    def _first_only(self, inner: Callable[[int, FrameType | None], Any]) -> Callable[..., None]:
        def once(signum: int, frame: FrameType | None) -> None:
            if self._requested_at is None:
                self._requested_at = time.monotonic()
                # A signal may have come before there was a `once`: then this is its second.
                with contextlib.suppress(SystemExit):
                    inner(signum, frame)

        return once
