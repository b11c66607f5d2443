"""Every change of a job's state as it happens: one Redis subscription a process, made at need.

Nothing relies on it: a change missed while the connection was down is found by reading again,
so whoever waits also looks every few seconds.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from service.logs import get_logger
from service.store import Unavailable, async_client

CHANNEL: Final = "hg:live"
LOOK_SECONDS: Final = 2.0

_log = get_logger(__name__)


class Live:
    """Wakes those who wait for a job.

    Parameters:
      url: The store.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._listener: asyncio.Task[None] | None = None

    @contextmanager
    def watch(self, job_id: str) -> Iterator[asyncio.Event]:
        """Yield an event that is set whenever the job changes.

        Parameters:
          job_id: The job. Whoever waits clears the event, and looks every LOOK_SECONDS anyway.
        """
        if self._listener is None or self._listener.done():
            self._listener = asyncio.create_task(self._listen())
        changed = asyncio.Event()
        self._waiting[job_id].add(changed)
        try:
            yield changed
        finally:
            self._waiting[job_id].discard(changed)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    async def close(self) -> None:
        """End the subscription."""
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)

    async def _listen(self) -> None:
        # Nothing is awaited between the last look and the task's end, so `watch` never takes a
        # listener that is about to leave for one that stays.
        while self._waiting:
            client = async_client(self._url, max_connections=1)
            try:
                await self._follow(client)
            except Unavailable as error:
                _log.warning("live feed interrupted", cause=type(error).__name__)
                await asyncio.sleep(1)
            finally:
                await client.aclose()

    async def _follow(self, client: Any) -> None:
        async with client.pubsub(ignore_subscribe_messages=True) as feed:
            await feed.subscribe(CHANNEL)
            while self._waiting:
                message = await feed.get_message(timeout=LOOK_SECONDS)
                if message is not None:
                    self._tell(json.loads(message["data"])["id"])

    def _tell(self, job_id: str) -> None:
        for changed in self._waiting.get(job_id, ()):
            changed.set()
