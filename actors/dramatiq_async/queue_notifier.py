"""The doorbell: whoever rings for work wakes the consumers at once, so that nobody has to poll.

The ledger's scripts write one entry to `hg:bell:{queue}` with each message
(`scripts/lib/ledger.lua`, `ring`); a thread with a connection of its own waits for it. Where the
bell is lost, consumers poll as Dramatiq's own do, and what others enqueue is found by a slow poll.
"""

from __future__ import annotations

import threading
from typing import Any, Final, cast

import redis

from service.logging.setup import get_logger
from service.redis.client import REDIS_ERRORS, REPLY_SECONDS

#: Below the time after which a connection is given up.
BLOCK_MS: Final = round(1000 * REPLY_SECONDS * 0.8)
_RETRY_SECONDS: Final = 1.0
#: One may come just before the bell is asked again.
_MAX_DISCONNECTS: Final = 20
NOTIFY_KEY: Final = "hg:bell"

_log = get_logger(__name__)


class QueueNotifier(threading.Thread):
    """Waits for rings at several queues and wakes who consumes them.

    Parameters:
      client: Has one connection to spare for as long as this runs.
    """

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(name="doorbell", daemon=True)
        self._client = client
        self._notified: dict[str, threading.Event] = {}
        self._stopped = threading.Event()
        #: Whether a ring is certain to be heard.
        self.listening = False

    def event_for(self, queue: str) -> threading.Event:
        """What is set when somebody rings at a queue; whoever waits for it clears it."""
        return self._notified.setdefault(queue, threading.Event())

    def run(self) -> None:
        """Listen until stopped."""
        heard: dict[str, Any] = {}
        while not self._stopped.is_set():
            try:
                self._listen(heard)
            except Exception as error:  # noqa: BLE001 - consumers poll meanwhile
                self._wake_all()
                # A connection that `stop` has cut ends in any kind of error.
                if not (self._stopped.is_set() or isinstance(error, REDIS_ERRORS)):
                    _log.error("doorbell failed", exc_info=error)
                self._stopped.wait(_RETRY_SECONDS)

    def stop(self) -> None:
        """Stop listening; whatever hangs on the connection is cut off."""
        self._stopped.set()
        for _ in range(_MAX_DISCONNECTS):
            if not self.is_alive():
                return
            self._client.connection_pool.disconnect()
            self.join(0.05)

    def _wake_all(self) -> None:
        """Send everybody to look for themselves, from now on."""
        self.listening = False
        for rung in list(self._notified.values()):
            rung.set()

    def _listen(self, heard: dict[str, Any]) -> None:
        queues = {f"{NOTIFY_KEY}:{queue}": queue for queue in list(self._notified)}
        if not queues:
            self._stopped.wait(_RETRY_SECONDS)
            return
        # From the beginning, the first time: a ring before it may not have been heard.
        streams = {key: heard.get(key, "0") for key in queues}
        # A queue that is new is asked for within a moment.
        block_ms = BLOCK_MS if len(heard) >= len(queues) else 100
        reply = cast("list[Any]", self._client.xread(cast(Any, streams), block=block_ms))
        self.listening = True
        for key in queues:
            heard.setdefault(key, "0")
        for name, entries in reply:
            key = name.decode()
            heard[key] = entries[-1][0]
            self._notified[queues[key]].set()
