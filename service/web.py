"""What the web process holds: opened by the lifespan, closed with it.

    python -m service.web

serves it: the settings and the file are checked once before any server process starts, so that a
mistake is one line and not a crash loop.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import redis.asyncio as aredis
from starlette.requests import HTTPConnection

from service.accounts.controls import Doors
from service.accounts.encryption import derive_keys
from service.accounts.suppressions import Suppressions
from service.accounts.user_id_cache import People
from service.accounts.verification_codes import Codes
from service.config.bootstrap import boot
from service.config.config import Config
from service.config.settings import Settings
from service.deliveries.store import Deliveries
from service.events.rules import RuleBook
from service.events.sources import ReadySource, check_sources, ready_sources
from service.followers.rows import Pages
from service.http.api_keys import Callers
from service.http.shared_timeout import Patience
from service.http.uvicorn_protocols import BoundedHead, QuietSocket
from service.jobs.audit_log import Audit
from service.jobs.ledger import Ledger
from service.jobs.lua.builder import Times
from service.jobs.queries import Reader
from service.live.broadcaster import Live
from service.live.event_stream import Feed
from service.live.subscriptions import HEARTBEAT_SECONDS
from service.lookups.service import MAX_WAIT_SECONDS, Asking
from service.lookups.shared_cache import Sights
from service.metrics.process_reports import Reporter
from service.metrics.prometheus import Metrics
from service.photos.converter import Darkroom
from service.process.file_limits import open_many_files
from service.redis.client import async_client

#: One more is taken by the reader of the live feed while somebody listens.
MAX_CONNECTIONS: Final = 3

#: How many objects may be made, and not be let go, before the collector looks: a few MB.
YOUNG_OBJECTS: Final = 10_000

#: How uvicorn serves, in production and in the tests.
SERVING: Final[Mapping[str, Any]] = {
    "loop": "uvloop",
    "http": BoundedHead,
    "ws": QuietSocket,
    # Listeners have nothing to say; and what compresses each of them would cost more than he does.
    "ws_max_size": 4096,
    "ws_per_message_deflate": False,
    "ws_ping_interval": HEARTBEAT_SECONDS,
    "ws_ping_timeout": HEARTBEAT_SECONDS,
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "timeout_graceful_shutdown": 20,
    "timeout_keep_alive": 75,
}


@dataclass(frozen=True)
class Web:
    """The web tier's parts, made once per process."""

    settings: Settings
    config: Config
    sources: Mapping[str, ReadySource] = field(repr=False)
    rules: RuleBook
    callers: Callers = field(repr=False)
    patience: Patience
    client: aredis.Redis
    ledger: Ledger
    reader: Reader
    deliveries: Deliveries
    doors: Doors
    people: People
    audit: Audit
    codes: Codes
    suppressions: Suppressions
    feed: Feed
    live: Live
    asking: Asking
    pages: Pages
    metrics: Metrics
    reporter: Reporter
    stopping: asyncio.Event
    darkroom: Darkroom = field(default_factory=Darkroom)

    async def close(self) -> None:
        """Close every connection."""
        await self.asking.close()
        await self.live.close()
        await self.ledger.close()
        await self.client.aclose()


def open_web(settings: Settings, config: Config, environ: Mapping[str, str]) -> Web:
    """Make the parts; nothing is connected before it is used.

    Parameters:
      settings: From the environment.
      config: From heliograph.toml.
      environ: Where the sources' secrets are; nothing else is resolved from it here.

    Raises:
      ValueError: A source's secret is unusable.
    """
    times = Times.of(settings, config)
    client = async_client(settings.redis_url, max_connections=MAX_CONNECTIONS)
    stopping = asyncio.Event()
    live = Live(settings.redis_url, stopping)
    patience_ms = round(1000 * MAX_WAIT_SECONDS)
    sights = Sights(client, times, config.readers(), patience_ms)
    return Web(
        settings=settings,
        config=config,
        sources=ready_sources(config.sources, environ),
        rules=RuleBook(config.rules),
        callers=Callers(settings.api_keys),
        patience=Patience(settings.body_seconds),
        client=client,
        ledger=Ledger(client, times),
        reader=Reader(client, times),
        deliveries=Deliveries(client, times),
        doors=Doors(client, times),
        people=People(client),
        audit=Audit(client, times),
        codes=Codes(client, derive_keys(",".join(settings.secret_keys))),
        suppressions=Suppressions(client),
        feed=Feed(client),
        live=live,
        asking=Asking(sights, live, config.lookups),
        pages=Pages(client),
        metrics=Metrics(client, times, config.accounts),
        reporter=Reporter(
            client, times, "web", settings.metrics_seconds, listeners=lambda: live.count
        ),
        stopping=stopping,
    )


def web_of(connection: HTTPConnection) -> Web:
    """The process' parts, for `Depends`."""
    web: Web = connection.app.state.web
    return web


def settle() -> None:
    """Tell the garbage collector, at the end of boot, that what is alive now stays alive.

    It would otherwise walk through every module when it looks for what a storm left behind; and as
    it is set up it looks every few requests, at all that are under way.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)


def main() -> int:
    """Serve until told to stop."""
    import uvicorn

    open_many_files()
    settings, config = boot()
    try:
        check_sources(config.sources, os.environ)
    except ValueError as error:
        sys.exit(f"heliograph cannot start: {error}")
    uvicorn.run(
        "service.app:create_app",
        factory=True,
        host="0.0.0.0",
        port=settings.port,
        workers=settings.web_concurrency,
        **SERVING,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
