"""The worker process' resources: opened on its event loop at boot, closed at shutdown."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Final

import redis.asyncio as aredis
from dramatiq import Broker, Worker
from dramatiq.middleware import Middleware, MiddlewareError

from actors.batched_scripts import BatchedScripts
from actors.dramatiq_async.event_loop import LoopThread
from actors.egress.callback_client import DEFAULT_LIMITS, CallbackClient
from actors.egress.guarded_connections import GuardedBackend
from actors.egress.photo_download import PhotoDownloader
from actors.egress.photo_fetcher import PhotoFetcher
from actors.instagram.client_pool import GatewayPool
from actors.instagram.login_limiter import LoginLimiter
from actors.instagram.options import AccountOptions
from actors.lease_heartbeat import LeaseHeartbeat, start_heartbeat
from service import VERSION
from service.accounts.controls import AccountControls
from service.accounts.encryption import derive_keys
from service.accounts.session_store import SessionStore
from service.accounts.suppressions import Suppressions
from service.accounts.user_id_cache import UserIdCache
from service.accounts.verification_codes import VerificationCodes
from service.config.config import Config, SecretRef
from service.config.proxy_url import check_proxy
from service.config.settings import Settings
from service.config.unique_usernames import check_usernames
from service.deliveries.endpoints import CallbackEndpoint, CallbackEndpoints
from service.deliveries.store import Deliveries
from service.encryption.cipher import Cipher
from service.jobs.claims import Claims
from service.jobs.durability_check import warn_unless_durable
from service.jobs.high_water_mark import HighWaterMark
from service.jobs.ledger import Ledger
from service.jobs.lua.builder import ScriptConfig
from service.jobs.photo_store import PhotoStore
from service.jobs.queries import JobQueries
from service.logging.setup import get_logger
from service.metrics.process_reports import ProcessReporter, process_name
from service.network.ip_filter import IpFilter
from service.operations.event_replay import ReplayPlanner
from service.operations.replay_steps import ReplaySteps
from service.operations.store import Operations
from service.photos.converter import PhotoConverter
from service.redis.client import REDIS_ERRORS, async_client
from service.reports.pdf_file import PdfDrawer
from service.reports.store import ReportStore

#: Redis connections of the event loop: for general use, and one each for the scripts of jobs and
#: of deliveries. Consumers and the heartbeat have their own.
MAX_CONNECTIONS: Final = 2
BATCH_CONNECTIONS: Final = 1
#: A thousand tasks share these connections, so the last one may wait for a while.
CONNECTION_WAIT_SECONDS: Final = 30.0
#: At shutdown, for saving sessions and closing connections.
CLOSE_SECONDS: Final = 3.0

_log = get_logger(__name__)


@dataclass(frozen=True)
class WorkerConfig:
    """The worker's part of the configuration, with its secrets resolved.

    Parameters:
      settings: From the environment.
      accounts: By name.
      endpoints: Callback endpoints by name.
      script_config: Leases, retention and limits.
      rule_config: The rules, which replays of many events run, and their sources.
    """

    settings: Settings
    accounts: Mapping[str, AccountOptions]
    endpoints: Mapping[str, CallbackEndpoint]
    script_config: ScriptConfig
    rule_config: Config = field(default_factory=Config)

    @classmethod
    def of(cls, settings: Settings, config: Config, environ: Mapping[str, str]) -> WorkerConfig:
        """Resolve every secret the worker needs.

        Parameters:
          settings: From the environment.
          config: From heliograph.toml.
          environ: The environment that holds the secrets.

        Raises:
          ValueError: A variable is missing or unusable; the message names it.
        """
        endpoints = CallbackEndpoints(config.callbacks, allow_http=settings.callback_allow_http)
        accounts = {
            name: AccountOptions(
                name=name,
                username=account.username.resolve(environ),
                password=account.password.resolve(environ),
                totp_seed=_resolve(account.totp_seed, environ),
                proxy=_proxy(account.proxy, environ),
                ca_bundle=settings.instagram_ca_bundle,
                human_pace=settings.human_pace,
            )
            for name, account in config.accounts.items()
        }
        check_usernames({name: account.username for name, account in accounts.items()})
        return cls(
            settings,
            accounts,
            endpoints.resolve(environ),
            ScriptConfig.of(settings, config),
            config,
        )


def _proxy(value: SecretRef | None, environ: Mapping[str, str]) -> str | None:
    proxy = _resolve(value, environ)
    if value is None or proxy is None:
        return None
    try:
        return check_proxy(proxy)
    except ValueError as error:
        raise ValueError(f"{value.key}: {error}") from None


def _resolve(value: SecretRef | None, environ: Mapping[str, str]) -> str | None:
    return None if value is None else value.resolve(environ)


@dataclass(frozen=True)
class Runtime:
    """The open resources of one worker process."""

    config: WorkerConfig
    client: aredis.Redis
    ledger: Ledger
    claims: Claims
    deliveries: Deliveries
    accounts: AccountControls
    user_ids: UserIdCache
    gateways: GatewayPool
    suppressions: Suppressions
    callback_client: CallbackClient
    operations: Operations
    replay_steps: ReplaySteps
    photos: PhotoStore
    photo_fetcher: PhotoFetcher
    reports: ReportStore
    heartbeat: LeaseHeartbeat
    pdf_drawer: PdfDrawer = field(default_factory=PdfDrawer)
    process: str = field(default_factory=process_name)
    _claims_made: itertools.count[int] = field(default_factory=itertools.count)

    def owner(self) -> str:
        """A new unique owner for one claim."""
        return f"{self.process}:{next(self._claims_made)}"


class RuntimeMiddleware(Middleware):
    """Opens the runtime when the worker boots and closes it when its tasks are done.

    Comes after the middleware that starts the loop.

    Parameters:
      config: The worker's configuration.
      loop: The event loop that the resources belong to.
    """

    def __init__(self, config: WorkerConfig, loop: LoopThread) -> None:
        self._config = config
        self._loop = loop
        self._runtime: Runtime | None = None
        self._stack = AsyncExitStack()

    @property
    def runtime(self) -> Runtime:
        """The open runtime.

        Raises:
          RuntimeError: The worker has not booted.
        """
        if self._runtime is None:
            raise RuntimeError("The worker's resources are not open: has it booted?")
        return self._runtime

    def before_worker_boot(self, _broker: Broker, _worker: Worker) -> None:
        """Open everything; a failure stops the worker."""
        try:
            self._runtime = self._loop.call(self._open())
        except Exception as error:
            raise MiddlewareError(f"the worker's resources cannot be opened: {error}") from error

    def after_worker_shutdown(self, _broker: Broker, _worker: Worker) -> None:
        """Save sessions and close connections, within CLOSE_SECONDS."""

        async def close() -> None:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._stack.aclose()

        self._runtime = None
        try:
            self._loop.call(close())
        except TimeoutError:
            _log.warning("shutdown timed out; remaining connections were left open")

    async def _open(self) -> Runtime:
        settings = self._config.settings
        script_config = self._config.script_config
        secret_key = ",".join(settings.secret_keys)
        cipher = Cipher.of(secret_key, enabled=settings.encrypt_at_rest)
        client = self._redis_client(MAX_CONNECTIONS)
        gateways = self._gateway_pool(client)
        await self._stack.enter_async_context(gateways.closing_idle())
        callback_client = await self._stack.enter_async_context(self._callback_client())
        accounts = AccountControls(client, script_config)
        await self._recheck_accounts(accounts)
        await warn_unless_durable(client, settings.durability)
        mark = HighWaterMark("worker")
        heartbeat = start_heartbeat(settings.redis_url, script_config, mark)
        self._stack.callback(heartbeat.stop)
        reporter = ProcessReporter(client, script_config, "worker", settings.metrics_seconds)
        await self._stack.enter_async_context(reporter.reporting())
        ledger = Ledger(client, script_config, cipher)
        queries = JobQueries(client, script_config, cipher)
        planner = ReplayPlanner(self._config.rule_config, queries)
        return Runtime(
            config=self._config,
            client=client,
            ledger=ledger,
            claims=Claims(client, script_config, cipher, self._batched_scripts(), mark),
            deliveries=Deliveries(client, script_config, self._batched_scripts()),
            accounts=accounts,
            user_ids=UserIdCache(client, script_config.person_keys),
            gateways=gateways,
            suppressions=Suppressions(client, script_config.person_keys),
            callback_client=callback_client,
            operations=Operations(client, script_config, settings.secret_keys),
            replay_steps=ReplaySteps(client, script_config, ledger, queries, planner),
            photos=PhotoStore(client, script_config, cipher),
            photo_fetcher=PhotoFetcher(self._photo_downloader(), PhotoConverter()),
            reports=ReportStore(client, script_config),
            heartbeat=heartbeat,
        )

    def _gateway_pool(self, client: aredis.Redis) -> GatewayPool:
        cipher = derive_keys(",".join(self._config.settings.secret_keys))
        limiter = LoginLimiter(client, VerificationCodes(client, cipher))
        return GatewayPool(self._config.accounts, SessionStore(client, cipher), login_guard=limiter)

    def _batched_scripts(self) -> BatchedScripts:
        return BatchedScripts(self._redis_client(BATCH_CONNECTIONS), self._config.script_config)

    def _redis_client(self, connections: int) -> aredis.Redis:
        client = async_client(
            self._config.settings.redis_url,
            max_connections=connections,
            wait_seconds=CONNECTION_WAIT_SECONDS,
        )
        self._stack.push_async_callback(client.aclose)
        return client

    async def _recheck_accounts(self, accounts: AccountControls) -> None:
        """Release jobs that a new configuration allows; if this fails, the periodic rescue does."""
        try:
            await accounts.recheck_all()
        except REDIS_ERRORS as error:
            _log.warning("account recheck postponed", error=type(error).__name__)

    def _photo_downloader(self) -> PhotoDownloader:
        settings = self._config.settings
        return PhotoDownloader(
            IpFilter(settings.photo_allow),
            version=VERSION,
            allow_http=settings.callback_allow_http,
            ca_bundle=settings.callback_ca_bundle,
        )

    def _callback_client(self) -> CallbackClient:
        settings = self._config.settings
        return CallbackClient(
            GuardedBackend(IpFilter(settings.callback_allow)),
            version=VERSION,
            allow_http=settings.callback_allow_http,
            ca_bundle=settings.callback_ca_bundle,
            limits=replace(DEFAULT_LIMITS, in_flight=settings.worker_concurrency),
        )
