"""Stopping once, however often a process is told to.

The Dramatiq master forwards SIGTERM to its workers and platforms signal every process too. The
stock handler takes the second one as an order to die in the middle of its work; this one ignores
it, for shutting down is bounded in time anyway.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

from dramatiq import Broker
from dramatiq.middleware import Middleware


class StopOnce(Middleware):
    """Hands the first SIGTERM (or SIGHUP) to Dramatiq's handler and drops the others."""

    def __init__(self) -> None:
        self._told = threading.Event()

    def stopping(self) -> bool:
        """Whether the process was told to stop."""
        return self._told.is_set()

    def after_process_boot(self, _broker: Broker) -> None:
        """Wrap the handlers that Dramatiq has just installed."""
        for number in (signal.SIGTERM, signal.SIGHUP):
            self._wrap(number)

    def _wrap(self, number: signal.Signals) -> None:
        inner = signal.getsignal(number)

        def once(signum: int, frame: FrameType | None) -> None:
            if not self._told.is_set():
                self._told.set()
                if callable(inner):
                    inner(signum, frame)

        signal.signal(number, once)
