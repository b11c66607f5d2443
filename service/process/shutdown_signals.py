"""Notifies the application of a shutdown before the server does."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def on_shutdown_signal(stopping: asyncio.Event) -> Iterator[None]:
    """Set an event on the first SIGTERM or SIGINT, and ignore the ones that follow.

    On a second SIGINT uvicorn would drop the requests it is waiting for, and platforms and
    terminals send signals to every process of a group, more than once. uvicorn's own shutdown
    timeout is enough.

    uvicorn waits for all requests before it ends the lifespan, so long-polling requests would delay
    the shutdown, and then be cut off by it, if they did not learn of it from this event.

    Parameters:
      stopping: Set on the running loop; the earlier handlers receive the first signal too.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread only
        return
    loop = asyncio.get_running_loop()
    earlier_handlers = {number: signal.getsignal(number) for number in _SIGNALS}

    signaled = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if signaled.is_set():
            return
        signaled.set()
        loop.call_soon_threadsafe(stopping.set)
        earlier = earlier_handlers[signal.Signals(number)]
        if callable(earlier):
            earlier(number, frame)

    for number in earlier_handlers:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, earlier in earlier_handlers.items():
            signal.signal(number, earlier)
