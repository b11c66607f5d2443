"""Wakes idle consumers as soon as a message is enqueued, so that nobody has to poll.

The ledger's scripts write one stream entry to `hg:bell:{queue}` with each message (`notify_worker`
in `lib/notify.lua`); a thread with a connection of its own blocks on these streams. While that
connection is lost, consumers poll as Dramatiq's own do; what others enqueue without an entry is
found by a slow poll.
"""

from __future__ import annotations

import threading
from typing import Any, Final, cast

import redis

from service.logging.setup import get_logger
from service.redis.client import REDIS_ERRORS, REPLY_SECONDS

#: Below the time after which a silent connection is given up.
BLOCK_MS: Final = round(1000 * REPLY_SECONDS * 0.8)
#: While a queue's stream has not been read yet, others are read this briefly.
NEW_QUEUE_BLOCK_MS: Final = 100
_RETRY_SECONDS: Final = 1.0
#: The thread may reconnect just after a disconnect, so `stop` disconnects several times.
_MAX_DISCONNECTS: Final = 20
NOTIFY_KEY: Final = "hg:bell"

_log = get_logger(__name__)


class QueueNotifier(threading.Thread):
    """Waits for notifications of several queues and sets an event for each.

    Parameters:
      client: Has one connection to spare for as long as this runs.
    """

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(name="queue-notifier", daemon=True)
        self._client = client
        self._notified: dict[str, threading.Event] = {}
        self._stopped = threading.Event()
        #: Whether every notification is certain to be received.
        self.listening = False

    def event_for(self, queue: str) -> threading.Event:
        """The event that is set when a queue has new messages; whoever waits for it clears it."""
        return self._notified.setdefault(queue, threading.Event())

    def run(self) -> None:
        """Listen until stopped."""
        last_ids: dict[str, Any] = {}
        while not self._stopped.is_set():
            try:
                self._listen(last_ids)
            except Exception as error:  # noqa: BLE001 - consumers poll meanwhile
                self._wake_all()
                # A connection that `stop` has closed may raise any kind of error.
                if not (self._stopped.is_set() or isinstance(error, REDIS_ERRORS)):
                    _log.error("queue notifier failed", exc_info=error)
                self._stopped.wait(_RETRY_SECONDS)

    def stop(self) -> None:
        """Stop listening, closing the connection that the thread blocks on."""
        self._stopped.set()
        for _ in range(_MAX_DISCONNECTS):
            if not self.is_alive():
                return
            self._client.connection_pool.disconnect()
            self.join(0.05)

    def _wake_all(self) -> None:
        """Make all consumers poll from now on."""
        self.listening = False
        for notified in list(self._notified.values()):
            notified.set()

    def _listen(self, last_ids: dict[str, Any]) -> None:
        queues = {f"{NOTIFY_KEY}:{queue}": queue for queue in list(self._notified)}
        if not queues:
            self._stopped.wait(_RETRY_SECONDS)
            return
        # The first time from the beginning: an earlier notification may have been missed.
        streams = {key: last_ids.get(key, "0") for key in queues}
        block_ms = BLOCK_MS if len(last_ids) >= len(queues) else NEW_QUEUE_BLOCK_MS
        reply = cast("list[Any]", self._client.xread(cast(Any, streams), block=block_ms))
        self.listening = True
        for key in queues:
            last_ids.setdefault(key, "0")
        for name, entries in reply:
            key = name.decode()
            last_ids[key] = entries[-1][0]
            self._notified[queues[key]].set()
