"""A worker's runtime over a test's ledger, without a process and without Instagram."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.egress.callback_client import CallbackClient
from actors.egress.guarded_connections import GuardedBackend
from actors.egress.photo_download import PhotoDownloader
from actors.egress.photo_fetcher import PhotoFetcher
from actors.instagram.client_pool import GatewayPool
from actors.lease_heartbeat import LeaseHeartbeat
from actors.runtime import Runtime, WorkerConfig
from service.accounts.encryption import derive_keys
from service.accounts.session_store import SessionStore
from service.accounts.suppressions import Suppressions
from service.accounts.user_id_cache import UserIdCache
from service.config.config import Config
from service.config.settings import Settings
from service.deliveries.endpoints import CallbackEndpoint
from service.network.ip_filter import IpFilter
from service.operations.event_replay import ReplayPlanner
from service.operations.replay_steps import ReplaySteps
from service.operations.store import Operations
from service.photos.converter import PhotoConverter
from service.reports.store import ReportStore
from tests.support.encryption import SECRET_KEY
from tests.support.ledger import LedgerHarness

_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def endpoint(name: str, url: str = "https://callbacks.example/hook") -> CallbackEndpoint:
    """A callback endpoint; its origin is the URL without its path."""
    return CallbackEndpoint(name, url, url.removesuffix("/hook"), (_SECRET,))


def make_runtime(
    ledger: LedgerHarness,
    *endpoints: CallbackEndpoint,
    rule_config: Config | None = None,
    **parts: Any,
) -> Runtime:
    """Make a runtime that knows no account and whose heartbeat does not beat by itself.

    Parameters:
      ledger: The ledger, on whose event loop the runtime works.
      endpoints: The callback endpoints that its configuration names.
      rule_config: The rules that replays run; none by default.
      parts: Fields of the runtime that differ.
    """
    url = "redis://{host}:{port}/{db}".format(**ledger.store.connection_pool.connection_kwargs)
    by_name: Mapping[str, CallbackEndpoint] = {each.name: each for each in endpoints}
    config, client, filtered = ledger.script_config, ledger.client, IpFilter()
    planner = ReplayPlanner(rule_config or Config(), ledger.queries)
    usual: dict[str, Any] = {
        "config": WorkerConfig(Settings.model_construct(redis_url=url), {}, by_name, config),
        "client": client,
        "ledger": ledger.core,
        "claims": ledger.claims,
        "deliveries": ledger.deliveries,
        "accounts": ledger.controls,
        "user_ids": UserIdCache(client, config.person_keys),
        "suppressions": Suppressions(client, config.person_keys),
        "gateways": GatewayPool({}, SessionStore(client, derive_keys("k" * 32))),
        "callback_client": CallbackClient(GuardedBackend(filtered), version="1.2.3"),
        "operations": Operations(client, config, (SECRET_KEY,)),
        "replay_steps": ReplaySteps(client, config, ledger.core, ledger.queries, planner),
        "photos": ledger.photos,
        "reports": ReportStore(client, config),
        "photo_fetcher": PhotoFetcher(PhotoDownloader(filtered, version="1.2.3"), PhotoConverter()),
        "heartbeat": LeaseHeartbeat(url, config),
    }
    return Runtime(**usual | parts)
