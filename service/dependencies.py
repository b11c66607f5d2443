"""The services of a web process: opened and closed with the application's lifespan."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import redis.asyncio as aredis
from starlette.requests import HTTPConnection

from service.accounts.controls import AccountControls
from service.accounts.encryption import derive_keys
from service.accounts.suppressions import Suppressions
from service.accounts.user_id_cache import UserIdCache
from service.accounts.verification_codes import VerificationCodes
from service.config.config import Config
from service.config.settings import Settings
from service.deliveries.store import Deliveries
from service.encryption.cipher import Cipher
from service.events.event_finder import EventFinder
from service.events.rules import RuleSet
from service.events.sources import ResolvedSource, resolve_sources
from service.followers.rows import FollowerRows
from service.http.api_keys import ApiKeys
from service.http.connections import ConnectionLimits, Connections
from service.http.failed_authentication import FailedAuthentication
from service.http.shared_timeout import SharedTimeout
from service.jobs.audit_log import AuditLog
from service.jobs.job_accounts import JobAccounts
from service.jobs.job_details import JobDetailsReader
from service.jobs.job_finder import JobFinder
from service.jobs.ledger import Ledger
from service.jobs.lua.builder import ScriptConfig
from service.jobs.queries import JobQueries
from service.jobs.readiness import Readiness
from service.live.broadcaster import Broadcaster
from service.live.event_stream import JobEventStream
from service.live.subscriber_slots import SubscriberSlots
from service.logging.setup import get_logger
from service.logging.summaries import LogSummaries
from service.lookups.service import MAX_WAIT_SECONDS, LookupService
from service.lookups.shared_cache import LookupCache
from service.metrics.process_reports import ProcessReporter
from service.metrics.prometheus import Metrics
from service.operations.event_replay import ReplayPlanner
from service.operations.event_selection import EventSelector
from service.operations.store import Operations
from service.people.erasure import PersonErasure
from service.people.report import PersonReport, ReportSources
from service.photos.converter import PhotoConverter
from service.process.file_limits import open_file_limit
from service.redis.client import async_client
from service.reports.store import ReportStore
from service.stats.reader import StatsReader

_log = get_logger(__name__)

#: The reader of the live event stream has one more while there are subscribers.
MAX_CONNECTIONS: Final = 3


@dataclass(frozen=True)
class AppServices:
    """The services of the web tier, created once per process."""

    settings: Settings
    config: Config
    sources: Mapping[str, ResolvedSource] = field(repr=False)
    rules: RuleSet
    api_keys: ApiKeys = field(repr=False)
    failed_authentication: FailedAuthentication
    refused_webhooks: LogSummaries
    body_timeout: SharedTimeout
    connections: Connections
    client: aredis.Redis
    cipher: Cipher
    ledger: Ledger
    jobs: JobQueries
    job_details: JobDetailsReader
    job_accounts: JobAccounts
    job_finder: JobFinder
    events: EventFinder
    readiness: Readiness
    deliveries: Deliveries
    accounts: AccountControls
    user_ids: UserIdCache
    audit_log: AuditLog
    verification_codes: VerificationCodes
    suppressions: Suppressions
    operations: Operations
    replays: ReplayPlanner
    event_selector: EventSelector
    people: PersonReport
    person_erasure: PersonErasure
    event_stream: JobEventStream
    broadcaster: Broadcaster
    subscriber_slots: SubscriberSlots
    lookups: LookupService
    follower_rows: FollowerRows
    metrics: Metrics
    stats: StatsReader
    reports: ReportStore
    reporter: ProcessReporter
    stopping: asyncio.Event
    photo_converter: PhotoConverter = field(default_factory=PhotoConverter)

    async def close(self) -> None:
        """Close all connections."""
        self.failed_authentication.flush()
        self.refused_webhooks.flush()
        await self.lookups.close()
        await self.broadcaster.close()
        await self.ledger.close()
        await self.client.aclose()


def create_services(settings: Settings, config: Config, environ: Mapping[str, str]) -> AppServices:
    """Create the services; each connects when first used.

    Parameters:
      settings: From the environment.
      config: From heliograph.toml.
      environ: Has the secrets of the sources; nothing else is resolved from it.

    Raises:
      ValueError: A source's secret is unusable.
    """
    script_config = ScriptConfig.of(settings, config)
    client = async_client(settings.redis_url, max_connections=MAX_CONNECTIONS)
    cipher = Cipher.of(",".join(settings.secret_keys), enabled=settings.encrypt_at_rest)
    queries = JobQueries(client, script_config, cipher)
    stopping = asyncio.Event()
    broadcaster = Broadcaster(settings.redis_url, stopping)
    reporter = ProcessReporter(
        client,
        script_config,
        "web",
        settings.metrics_seconds,
        subscribers=lambda: broadcaster.count,
        connections=lambda: (connections.open, connections.limits.open),
    )
    limits = ConnectionLimits.of(open_file_limit(), settings.max_body_bytes)
    connections = Connections(limits, reporter.count)
    events = EventFinder(client, script_config, queries)
    rules = RuleSet(config.rules, config.recipients.folded)
    return AppServices(
        settings=settings,
        config=config,
        sources=resolve_sources(config.sources, environ),
        rules=rules,
        api_keys=ApiKeys(settings.api_keys),
        failed_authentication=FailedAuthentication(reporter.count),
        refused_webhooks=LogSummaries(_log.warning, "webhook rejected"),
        body_timeout=SharedTimeout(settings.body_seconds),
        connections=connections,
        client=client,
        cipher=cipher,
        ledger=Ledger(client, script_config, cipher),
        job_accounts=JobAccounts(client),
        jobs=queries,
        job_details=JobDetailsReader(client, cipher, script_config.person_keys),
        events=events,
        job_finder=JobFinder(client, script_config, queries),
        readiness=Readiness(client, script_config),
        deliveries=Deliveries(client, script_config),
        accounts=AccountControls(client, script_config),
        user_ids=UserIdCache(client, script_config.person_keys),
        audit_log=AuditLog(client, script_config),
        verification_codes=VerificationCodes(client, derive_keys(",".join(settings.secret_keys))),
        suppressions=Suppressions(client, script_config.person_keys),
        replays=ReplayPlanner(config, queries, rules),
        event_selector=EventSelector(events, queries),
        operations=Operations(client, script_config, settings.secret_keys),
        people=PersonReport(
            client,
            script_config,
            ReportSources.of(client, script_config, cipher),
            tuple(config.accounts),
        ),
        person_erasure=PersonErasure(client, script_config, tuple(config.accounts)),
        event_stream=JobEventStream(client),
        broadcaster=broadcaster,
        subscriber_slots=SubscriberSlots(settings.subscribers_per_key),
        lookups=_lookup_service(client, script_config, config, broadcaster),
        follower_rows=FollowerRows(client),
        metrics=Metrics(client, script_config, config.accounts),
        stats=StatsReader(client),
        reports=ReportStore(client, script_config),
        reporter=reporter,
        stopping=stopping,
    )


def _lookup_service(
    client: aredis.Redis, script_config: ScriptConfig, config: Config, broadcaster: Broadcaster
) -> LookupService:
    max_wait_ms = round(1000 * MAX_WAIT_SECONDS)
    cache = LookupCache(client, script_config, config.lookup_accounts(), max_wait_ms)
    return LookupService(cache, broadcaster, config.lookups)


def get_services(connection: HTTPConnection) -> AppServices:
    """Return the services of the process that serves the connection."""
    services: AppServices = connection.app.state.services
    return services
