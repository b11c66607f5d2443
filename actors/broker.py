"""The broker and its actors: one list of middleware and one of actors, nothing implicit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import CurrentMessage, Middleware
from periodiq import PeriodiqMiddleware, cron

from actors import attempt, callbacks, periodic
from actors.runtime import Runtime
from service.jobs.wakeups import COMMENT, DELIVERY, DM, NAMESPACE, Address
from service.settings import Settings
from service.store import sync_client

#: Two consumers a queue and the acknowledgements share these; more wait for one.
MAX_CONNECTIONS: Final = 6
#: A tick that waited longer than this in the queue is dropped: another follows.
TICK_SKIP_SECONDS: Final = 50

CALENDAR: Final = "calendar"


def make_broker(settings: Settings, middleware: Sequence[Middleware] = ()) -> RedisBroker:
    """A broker over the ledger's Redis, in a key space of its own.

    Parameters:
      settings: Where Redis is.
      middleware: What the process needs besides, in order: what starts the loop comes first.
    """
    return RedisBroker(  # type: ignore[no-untyped-call]
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
