"""The broker and its actors: one list of middleware and one of actors, nothing implicit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

import dramatiq
from dramatiq.broker import Consumer
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import ConnectionClosed
from dramatiq.middleware import CurrentMessage, Middleware
from periodiq import PeriodiqMiddleware, cron

from actors import attempt, callbacks, periodic
from actors.runtime import Runtime
from service.jobs.wakeups import COMMENT, DELIVERY, DM, NAMESPACE, Address
from service.settings import Settings
from service.store import sync_client, wait_for_redis

#: Two consumers a queue and the acknowledgements share these; more wait for one.
MAX_CONNECTIONS: Final = 5
#: A tick that waited longer than this in the queue is dropped: another follows.
TICK_SKIP_SECONDS: Final = 50

CALENDAR: Final = "calendar"


class PatientBroker(RedisBroker):
    """A RedisBroker whose consumers wait for Redis: one of them asks, the others wait for it.

    The stock one tries again every second, in every consumer, and says so each time.

    Parameters:
      stopping: Whether the process is to end instead of waiting.
      options: What a RedisBroker takes.
    """

    def __init__(self, stopping: Callable[[], bool], **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._stopping = stopping
        self._gate = threading.Lock()

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        """Make a consumer as soon as Redis answers.

        Parameters:
          queue_name: The queue.
          prefetch: The most messages in flight.
          timeout: How long an idle consumer may sleep, in ms.

        Raises:
          dramatiq.errors.ConnectionClosed: The process is to end.
        """
        with self._gate:
            if not wait_for_redis(self.client, self._stopping):
                raise ConnectionClosed("stopping")  # type: ignore[no-untyped-call]
        return super().consume(queue_name, prefetch, timeout)


def make_broker(
    settings: Settings,
    middleware: Sequence[Middleware] = (),
    stopping: Callable[[], bool] = lambda: False,
) -> PatientBroker:
    """A broker over the ledger's Redis, in a key space of its own.

    Parameters:
      settings: Where Redis is.
      middleware: What the process needs besides, in order: what starts the loop comes first.
      stopping: Whether the process is to end.
    """
    return PatientBroker(
        stopping,
        client=sync_client(settings.redis_url, max_connections=MAX_CONNECTIONS),
        namespace=NAMESPACE,
        middleware=[*middleware, PeriodiqMiddleware(TICK_SKIP_SECONDS), CurrentMessage()],
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

    async def deliver_callback(delivery_id: str) -> None:
        await callbacks.deliver(runtime(), delivery_id)

    async def retention() -> None:
        await periodic.retention(runtime())

    async def sweep() -> None:
        await periodic.sweep(runtime())

    _declare(broker, send_dm, DM)
    _declare(broker, post_comment, COMMENT)
    _declare(broker, deliver_callback, DELIVERY)
    _declare(broker, retention, Address(CALENDAR, "retention"), periodic=cron("*/10 * * * *"))
    _declare(broker, sweep, Address(CALENDAR, "sweep"), periodic=cron("* * * * *"))


def _declare(broker: dramatiq.Broker, fn: Any, address: Address, **options: Any) -> None:
    declare = dramatiq.actor(
        broker=broker, actor_name=address.actor, queue_name=address.queue, **options
    )
    declare(fn)
