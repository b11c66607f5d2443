"""The Redis broker: consumers that wait for Redis and for notifications, acks in batches."""

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

#: What Dramatiq's own `ack` does (dramatiq/brokers/redis/dispatch.lua), for many.
ACK_ALL: Final = """#!lua flags=allow-oom
-- Removes messages for good.
-- KEYS   1 the set of ids that this worker has fetched from the queue  2 the queue's messages
-- ARGV   the messages' ids
-- Reply  none
-- Keeps  a message that was taken from this worker, which was thought dead, is left to the other.
for _, id in ipairs(ARGV) do
  if redis.call('SREM', KEYS[1], id) > 0 then redis.call('HDEL', KEYS[2], id) end
end
"""


class WaitingRedisBroker(RedisBroker):
    """A RedisBroker whose consumers wait for Redis: one of them asks, the others wait for it.

    The stock one tries again every second, in every consumer, and says so each time.

    Parameters:
      stopping: Whether the process is to end instead of waiting.
      spare: By queue, the share of its prefetch that it may fetch on top.
      options: What a RedisBroker takes.
    """

    def __init__(
        self, stopping: Callable[[], bool], spare_prefetch: Mapping[str, float], **options: Any
    ) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self.stopping = stopping
        self._spare_prefetch = spare_prefetch
        #: By queue, the ids of messages that arrived and are not acknowledged yet.
        self.in_flight: defaultdict[str, set[bytes]] = defaultdict(set)
        self.notifier = QueueNotifier(self.client)
        self._ack_all = self.client.register_script(ACK_ALL)
        self._consume_lock = threading.Lock()

    def close(self) -> None:
        """Stop listening, and close every connection."""
        self.notifier.stop()
        super().close()

    @property
    def consumer_class(self) -> type[NotifiedConsumer]:
        """What `consume` makes."""
        return NotifiedConsumer

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Put a message on its queue, and ring for it."""
        enqueued: Message[Any] = super().enqueue(message, delay=delay)
        self.client.xadd(
            f"{NOTIFY_KEY}:{message.queue_name}", {"r": "1"}, maxlen=1, approximate=False
        )
        return enqueued

    def ack_all(self, queue_name: str, message_ids: Sequence[bytes]) -> None:
        """Acknowledge messages, in one round trip.

        Parameters:
          queue_name: Where they are from.
          message_ids: Theirs at Redis; one that is acknowledged already does no harm.
        """
        fetched = f"{self.namespace}:__acks__.{self.broker_id}.{queue_name}"
        stored = f"{self.namespace}:{queue_name}.msgs"
        self._ack_all(keys=[fetched, stored], args=message_ids)

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """Make a consumer as soon as Redis answers, or as soon as there is nothing to fetch for.

        Parameters:
          queue_name: The queue.
          prefetch: The most messages in flight.
          timeout: How long an idle consumer may sleep, in ms.
        """
        with self._consume_lock:
            wait_for_redis(self.client, self.stopping)
            if not self.notifier.ident:
                self.notifier.start()
        spare = math.ceil(prefetch * self._spare_prefetch.get(queue_name, 0))
        return super().consume(queue_name, prefetch + spare, timeout)
