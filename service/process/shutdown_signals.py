"""Hearing that the process is to end before the server tells the application."""

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
    """Set an event when the process is told to end; being told again changes nothing.

    A second SIGINT would make uvicorn drop what it is waiting for; platforms and terminals send
    signals to every process of a group, and more than once. Its own limit of seconds is enough.

    uvicorn first waits for every request and ends the lifespan after that, so that whoever waits
    on purpose would hold up the end, and be cut off by it.

    Parameters:
      stopping: Set on the running loop; whatever handled the signals before hears of the first.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread only
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    told = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if told.is_set():
            return
        told.set()
        loop.call_soon_threadsafe(stopping.set)
        earlier = before[signal.Signals(number)]
        if callable(earlier):
            earlier(number, frame)

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
