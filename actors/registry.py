"""The broker with its middleware, and the actors: one explicit list of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import dramatiq
from dramatiq.middleware import CurrentMessage, Middleware
from periodiq import PeriodiqMiddleware, cron

from actors import maintenance, operations
from actors.deliveries import deliver
from actors.dramatiq_async.broker import WaitingRedisBroker
from actors.dramatiq_async.time_limit import TimeLimits
from actors.jobs import attempt, followers, lookups, photo_fetch, reports
from actors.runtime import Runtime
from service.config.settings import Settings
from service.jobs.actor_routes import (
    COMMENT,
    DELIVERY,
    DM,
    FOLLOWERS,
    LOOKUP,
    NAMESPACE,
    OPERATION,
    PERIODIC,
    PHOTO,
    REPORT,
    Route,
)
from service.redis.client import sync_client

#: The notifier holds one; two consumers per queue and the acknowledgements share the others.
MAX_CONNECTIONS: Final = 4
#: Callbacks may exceed the worker's concurrency by this share, which leaves room for origins that
#: have no callback in flight yet.
SPARE_PREFETCH_SHARE: Final = 0.25
#: An attempt at a callback takes at most a quarter of this by its own limits.
DELIVERY_LIMIT_MS: Final = 120_000
#: A periodic message that waited longer than this in the queue is dropped: another follows.
MAX_PERIODIC_DELAY_SECONDS: Final = 50


def make_broker(
    settings: Settings,
    middleware: Sequence[Middleware] = (),
    stopping: Callable[[], bool] = lambda: False,
) -> WaitingRedisBroker:
    """Make a broker over the ledger's Redis, in a namespace of its own.

    Parameters:
      settings: The process' settings.
      middleware: Further middleware, placed first; the one that starts the event loop comes before
        those that use it.
      stopping: Whether the process is to end.
    """
    return WaitingRedisBroker(
        stopping,
        {DELIVERY.queue: SPARE_PREFETCH_SHARE},
        client=sync_client(settings.redis_url, max_connections=MAX_CONNECTIONS),
        namespace=NAMESPACE,
        maintenance_chance=0,  # orphan_recovery.py replaces it
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
      broker: The broker to declare them on.
      runtime: Returns the open resources; called for each message.
    """

    async def send_dm(job_id: str) -> None:
        await attempt.perform(runtime(), job_id)

    async def post_comment(job_id: str) -> None:
        await attempt.perform(runtime(), job_id)

    async def run_lookup(job_id: str) -> None:
        await lookups.run_lookup(runtime(), job_id)

    async def read_follower_page(job_id: str) -> None:
        await followers.read_follower_page(runtime(), job_id)

    async def fetch_photo(job_id: str) -> None:
        await photo_fetch.fetch_photo(runtime(), job_id)

    async def draw_report(job_id: str) -> None:
        await reports.draw_report(runtime(), job_id)

    async def deliver_callback(delivery_id: str) -> None:
        await deliver.deliver(runtime(), delivery_id)

    _declare(broker, send_dm, DM)
    _declare(broker, post_comment, COMMENT)
    _declare(broker, run_lookup, LOOKUP)
    _declare(broker, read_follower_page, FOLLOWERS)
    _declare(broker, fetch_photo, PHOTO)
    _declare(broker, draw_report, REPORT)
    _declare(broker, deliver_callback, DELIVERY, time_limit=DELIVERY_LIMIT_MS)
    _declare_maintenance(broker, runtime)


def _declare_maintenance(broker: dramatiq.Broker, runtime: Callable[[], Runtime]) -> None:
    """Declare what works on many records: operations, and the periodic tasks."""

    async def run_operation(operation_id: str) -> None:
        await operations.run_operation(runtime(), operation_id)

    async def retention() -> None:
        await maintenance.retention(runtime())

    async def rescue() -> None:
        await maintenance.rescue(runtime())

    _declare(broker, run_operation, OPERATION)
    _declare(broker, retention, Route(PERIODIC, "retention"), periodic=cron("*/10 * * * *"))
    _declare(broker, rescue, Route(PERIODIC, "sweep"), periodic=cron("* * * * *"))


def _declare(broker: dramatiq.Broker, fn: Any, route: Route, **options: Any) -> None:
    declare = dramatiq.actor(
        broker=broker, actor_name=route.actor, queue_name=route.queue, **options
    )
    declare(fn)
