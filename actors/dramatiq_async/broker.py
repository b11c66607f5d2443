"""The Redis broker: consumers wait for Redis and for notifications, and acknowledge in batches."""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from dramatiq import Message
from dramatiq.broker import Consumer
from dramatiq.brokers.redis import RedisBroker

from actors.dramatiq_async.consumer import NotifiedConsumer
from actors.dramatiq_async.queue_notifier import NOTIFY_KEY, QueueNotifier
from service.redis.client import wait_for_redis

#: What Dramatiq's own `ack` does (dramatiq/brokers/redis/dispatch.lua), for many messages.
ACK_ALL: Final = """#!lua flags=allow-oom
-- Removes messages for good.
-- KEYS   as named below: the set of ids that this process has fetched, the hash of messages
-- ARGV   the messages' ids
-- Reply  none
-- Keeps  a message that was taken from this process, which was thought dead, belongs to another.
local fetched, messages = KEYS[1], KEYS[2]
for _, id in ipairs(ARGV) do
  if redis.call('SREM', fetched, id) > 0 then redis.call('HDEL', messages, id) end
end
"""


class WaitingRedisBroker(RedisBroker):
    """A RedisBroker whose consumers wait for Redis, one of them asking on behalf of all.

    Each of the stock broker's consumers retries every second and logs every failure.

    Parameters:
      stopping: Whether the process is to end instead of waiting.
      spare_prefetch: By queue, the share of its prefetch that it may fetch on top.
      options: Options of RedisBroker.
    """

    def __init__(
        self, stopping: Callable[[], bool], spare_prefetch: Mapping[str, float], **options: Any
    ) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self.stopping = stopping
        self._spare_prefetch = spare_prefetch
        #: By queue, the ids of the messages received and not acknowledged yet.
        self.in_flight: defaultdict[str, set[bytes]] = defaultdict(set)
        self.notifier = QueueNotifier(self.client)
        self._ack_all = self.client.register_script(ACK_ALL)
        self._consume_lock = threading.Lock()

    def close(self) -> None:
        """Stop the notifier and close every connection."""
        self.notifier.stop()
        super().close()

    @property
    def consumer_class(self) -> type[NotifiedConsumer]:
        """The class that `consume` instantiates."""
        return NotifiedConsumer

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Put a message on its queue, or its delay queue, and notify the consumers."""
        enqueued: Message[Any] = super().enqueue(message, delay=delay)
        key = f"{NOTIFY_KEY}:{enqueued.queue_name}"
        self.client.xadd(key, {"r": "1"}, maxlen=1, approximate=False)
        return enqueued

    def ack_all(self, queue_name: str, message_ids: Sequence[bytes]) -> None:
        """Acknowledge messages, in one round trip.

        Parameters:
          queue_name: The queue that they came from.
          message_ids: Their ids in Redis; those acknowledged already are ignored.
        """
        fetched = f"{self.namespace}:__acks__.{self.broker_id}.{queue_name}"
        messages = f"{self.namespace}:{queue_name}.msgs"
        self._ack_all(keys=[fetched, messages], args=message_ids)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """Make a consumer as soon as Redis answers, or the thread is not to consume any more.

        Parameters:
          queue_name: The queue.
          prefetch: The most messages in flight.
          timeout: How long an idle consumer may sleep, in ms.
        """
        with self._consume_lock:
            wait_for_redis(self.client, lambda: self.stopping() or _is_paused())
            if not self.notifier.ident:
                self.notifier.start()
        spare = math.ceil(prefetch * self._spare_prefetch.get(queue_name, 0))
        return super().consume(queue_name, prefetch + spare, timeout)


def _is_paused() -> bool:
    """Whether the calling thread is a consumer's that `Worker.pause` waits for."""
    return bool(getattr(threading.current_thread(), "paused", False))
