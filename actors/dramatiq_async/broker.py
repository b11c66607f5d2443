"""The broker and its actors: one list of middleware and one of actors, nothing implicit."""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final

import dramatiq
from dramatiq import Message
from dramatiq.broker import Consumer
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import CurrentMessage, Middleware
from periodiq import PeriodiqMiddleware, cron

from actors import maintenance
from actors.deliveries import deliver
from actors.dramatiq_async.consumer import ACK_ALL, NotifiedConsumer
from actors.dramatiq_async.dispatcher import TimeLimits
from actors.dramatiq_async.queue_notifier import NOTIFY, QueueNotifier
from actors.jobs import attempt, followers, lookups
from actors.runtime import Runtime
from service.config.settings import Settings
from service.jobs.actor_routes import (
    COMMENT,
    DELIVERY,
    DM,
    FOLLOWERS,
    LOOKUP,
    NAMESPACE,
    PERIODIC,
    Route,
)
from service.redis.client import sync_client, wait_for_redis

#: One is the doorbell's; two consumers a queue and the acknowledgements share the others.
MAX_CONNECTIONS: Final = 4
#: Callbacks take so much more than the worker's share: places for origins that have none yet.
SPARE: Final = 0.25
#: An exchange ends within a quarter of this by itself.
DELIVERY_LIMIT_MS: Final = 120_000
#: A tick that waited longer than this in the queue is dropped: another follows.
TICK_SKIP_SECONDS: Final = 50


class WaitingRedisBroker(RedisBroker):
    """A RedisBroker whose consumers wait for Redis: one of them asks, the others wait for it.

    The stock one tries again every second, in every consumer, and says so each time.

    Parameters:
      stopping: Whether the process is to end instead of waiting.
      options: What a RedisBroker takes.
    """

    def __init__(self, stopping: Callable[[], bool], **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self.stopping = stopping
        #: By queue, the ids of messages that arrived and are not acknowledged yet.
        self.arrived: defaultdict[str, set[bytes]] = defaultdict(set)
        self.notifier = QueueNotifier(self.client)
        self._ack_all = self.client.register_script(ACK_ALL)
        self._gate = threading.Lock()

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
        self.client.xadd(f"{NOTIFY}:{message.queue_name}", {"r": "1"}, maxlen=1, approximate=False)
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
        with self._gate:
            wait_for_redis(self.client, self.stopping)
            if not self.notifier.ident:
                self.notifier.start()
        spare = math.ceil(prefetch * SPARE) if queue_name == DELIVERY.queue else 0
        return super().consume(queue_name, prefetch + spare, timeout)


def make_broker(
    settings: Settings,
    middleware: Sequence[Middleware] = (),
    stopping: Callable[[], bool] = lambda: False,
) -> WaitingRedisBroker:
    """A broker over the ledger's Redis, in a key space of its own.

    Parameters:
      settings: Where Redis is.
      middleware: What the process needs besides, in order: what starts the loop comes first.
      stopping: Whether the process is to end.
    """
    return WaitingRedisBroker(
        stopping,
        client=sync_client(settings.redis_url, max_connections=MAX_CONNECTIONS),
        namespace=NAMESPACE,
        maintenance_chance=0,  # see heirs.py
        middleware=[
            *middleware,
            TimeLimits(),
            PeriodiqMiddleware(TICK_SKIP_SECONDS),
            CurrentMessage(),
        ],
    )


def declare_actors(broker: dramatiq.Broker, runtime: Callable[[], Runtime]) -> None:
    """Declare every actor.

    Parameters:
      broker: Where.
      runtime: Gives the open resources when a message comes.
    """

    async def send_dm(job_id: str) -> None:
        await attempt.perform(runtime(), job_id)

    async def post_comment(job_id: str) -> None:
        await attempt.perform(runtime(), job_id)

    async def look_up(job_id: str) -> None:
        await lookups.run_lookup(runtime(), job_id)

    async def walk_on(job_id: str) -> None:
        await followers.read_follower_page(runtime(), job_id)

    async def deliver_callback(delivery_id: str) -> None:
        await deliver.deliver(runtime(), delivery_id)

    async def retention() -> None:
        await maintenance.retention(runtime())

    async def sweep() -> None:
        await maintenance.rescue(runtime())

    _declare(broker, send_dm, DM)
    _declare(broker, post_comment, COMMENT)
    _declare(broker, look_up, LOOKUP)
    _declare(broker, walk_on, FOLLOWERS)
    _declare(broker, deliver_callback, DELIVERY, time_limit=DELIVERY_LIMIT_MS)
    _declare(broker, retention, Route(PERIODIC, "retention"), periodic=cron("*/10 * * * *"))
    _declare(broker, sweep, Route(PERIODIC, "sweep"), periodic=cron("* * * * *"))


def _declare(broker: dramatiq.Broker, fn: Any, address: Route, **options: Any) -> None:
    declare = dramatiq.actor(
        broker=broker, actor_name=address.actor, queue_name=address.queue, **options
    )
    declare(fn)
