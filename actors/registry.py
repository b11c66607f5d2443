"""The broker's middleware and the actors: one list of each, nothing implicit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import dramatiq
from dramatiq.middleware import CurrentMessage, Middleware
from periodiq import PeriodiqMiddleware, cron

from actors import maintenance
from actors.deliveries import deliver
from actors.dramatiq_async.broker import WaitingRedisBroker
from actors.dramatiq_async.time_limit import TimeLimits
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
from service.redis.client import sync_client

#: One is the notifier's; two consumers a queue and the acknowledgements share the others.
MAX_CONNECTIONS: Final = 4
#: Callbacks may take this much more than the worker's concurrency: room for origins that have no
#: callback in flight yet.
SPARE_PREFETCH_SHARE: Final = 0.25
#: A callback ends within a quarter of this by itself.
DELIVERY_LIMIT_MS: Final = 120_000
#: A tick that waited longer than this in the queue is dropped: another follows.
MAX_PERIODIC_DELAY_SECONDS: Final = 50


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
        {DELIVERY.queue: SPARE_PREFETCH_SHARE},
        client=sync_client(settings.redis_url, max_connections=MAX_CONNECTIONS),
        namespace=NAMESPACE,
        maintenance_chance=0,  # orphan_recovery.py does it
        middleware=[
            *middleware,
            TimeLimits(),
            PeriodiqMiddleware(MAX_PERIODIC_DELAY_SECONDS),
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
