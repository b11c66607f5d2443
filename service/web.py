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

from service.accounts.controls import AccountControls
from service.accounts.encryption import derive_keys
from service.accounts.suppressions import Suppressions
from service.accounts.user_id_cache import UserIdCache
from service.accounts.verification_codes import VerificationCodes
from service.config.bootstrap import boot
from service.config.config import Config
from service.config.settings import Settings
from service.deliveries.store import Deliveries
from service.events.rules import RuleSet
from service.events.sources import ResolvedSource, check_sources, resolve_sources
from service.followers.rows import FollowerRows
from service.http.api_keys import ApiKeys
from service.http.shared_timeout import SharedTimeout
from service.http.uvicorn_protocols import HeaderLimitProtocol, QuietWebSocketProtocol
from service.jobs.audit_log import AuditLog
from service.jobs.ledger import Ledger
from service.jobs.lua.builder import Times
from service.jobs.queries import JobQueries
from service.live.broadcaster import Broadcaster
from service.live.event_stream import JobEventStream
from service.live.subscriptions import HEARTBEAT_SECONDS
from service.lookups.service import MAX_WAIT_SECONDS, LookupService
from service.lookups.shared_cache import LookupCache
from service.metrics.process_reports import Reporter
from service.metrics.prometheus import Metrics
from service.photos.converter import PhotoConverter
from service.process.file_limits import raise_file_limit
from service.redis.client import async_client

#: One more is taken by the reader of the live feed while somebody listens.
MAX_CONNECTIONS: Final = 3

#: How many objects may be made, and not be let go, before the collector looks: a few MB.
YOUNG_OBJECTS: Final = 10_000

#: How uvicorn serves, in production and in the tests.
SERVING: Final[Mapping[str, Any]] = {
    "loop": "uvloop",
    "http": HeaderLimitProtocol,
    "ws": QuietWebSocketProtocol,
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
class AppServices:
    """The web tier's parts, made once per process."""

    settings: Settings
    config: Config
    sources: Mapping[str, ResolvedSource] = field(repr=False)
    rules: RuleSet
    api_keys: ApiKeys = field(repr=False)
    body_timeout: SharedTimeout
    client: aredis.Redis
    ledger: Ledger
    jobs: JobQueries
    deliveries: Deliveries
    accounts: AccountControls
    user_ids: UserIdCache
    audit_log: AuditLog
    verification_codes: VerificationCodes
    suppressions: Suppressions
    event_stream: JobEventStream
    broadcaster: Broadcaster
    lookups: LookupService
    follower_rows: FollowerRows
    metrics: Metrics
    reporter: Reporter
    stopping: asyncio.Event
    photo_converter: PhotoConverter = field(default_factory=PhotoConverter)

    async def close(self) -> None:
        """Close every connection."""
        await self.lookups.close()
        await self.broadcaster.close()
        await self.ledger.close()
        await self.client.aclose()


def create_services(settings: Settings, config: Config, environ: Mapping[str, str]) -> AppServices:
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
    live = Broadcaster(settings.redis_url, stopping)
    patience_ms = round(1000 * MAX_WAIT_SECONDS)
    sights = LookupCache(client, times, config.readers(), patience_ms)
    return AppServices(
        settings=settings,
        config=config,
        sources=resolve_sources(config.sources, environ),
        rules=RuleSet(config.rules),
        api_keys=ApiKeys(settings.api_keys),
        body_timeout=SharedTimeout(settings.body_seconds),
        client=client,
        ledger=Ledger(client, times),
        jobs=JobQueries(client, times),
        deliveries=Deliveries(client, times),
        accounts=AccountControls(client, times),
        user_ids=UserIdCache(client),
        audit_log=AuditLog(client, times),
        verification_codes=VerificationCodes(client, derive_keys(",".join(settings.secret_keys))),
        suppressions=Suppressions(client),
        event_stream=JobEventStream(client),
        broadcaster=live,
        lookups=LookupService(sights, live, config.lookups),
        follower_rows=FollowerRows(client),
        metrics=Metrics(client, times, config.accounts),
        reporter=Reporter(
            client, times, "web", settings.metrics_seconds, listeners=lambda: live.count
        ),
        stopping=stopping,
    )


def get_services(connection: HTTPConnection) -> AppServices:
    """The process' parts, for `Depends`."""
    web: AppServices = connection.app.state.web
    return web


def freeze_gc() -> None:
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

    raise_file_limit()
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
