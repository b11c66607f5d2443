"""The worker's event loop (uvloop's), in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from uvloop import new_event_loop

#: Threads for blocking calls, mostly name lookups.
EXECUTOR_THREADS: Final = 8

T = TypeVar("T")


class LoopThread(threading.Thread):
    """Runs the event loop on which all messages of the process are processed."""

    def __init__(self) -> None:
        super().__init__(name="loop", daemon=True)
        self.loop: asyncio.AbstractEventLoop = new_event_loop()
        # asyncio's default executor grows with the number of processors.
        self.loop.set_default_executor(ThreadPoolExecutor(EXECUTOR_THREADS, "off-loop"))

    def run(self) -> None:
        """Run until `stop`."""
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop, from another thread, and return its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def stop(self) -> None:
        """Stop the loop and wait for the thread."""
        self.call(self.loop.shutdown_asyncgens())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.join()
        self.loop.close()
