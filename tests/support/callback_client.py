"""Callback clients for tests, and one attempt at a server."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from actors.egress.callback_client import DEFAULT_LIMITS, CallbackClient, CallbackLimits
from actors.egress.guarded_connections import GuardedBackend
from service.deliveries.attempt_results import AttemptResult
from service.network.ip_filter import IpFilter, parse_cidrs
from tests.support.misbehaving_servers import Behaviour, MisbehavingServer, serve

#: Runs a scenario on an event loop.
Run = Callable[[Coroutine[Any, Any, Any]], Any]

BODY = b'{"type":"job.succeeded"}'
LOOPBACK = IpFilter(parse_cidrs("127.0.0.0/8"))
HASTY = CallbackLimits(connect_seconds=1.0, total_seconds=0.4, capture_seconds=0.2)


def make_client(
    ip_filter: IpFilter = LOOPBACK, limits: CallbackLimits = DEFAULT_LIMITS
) -> CallbackClient:
    """A client that may call this machine over plain HTTP."""
    return CallbackClient(
        GuardedBackend(ip_filter), version="1.2.3", allow_http=True, limits=limits
    )


async def attempt(
    behaviour: Behaviour, limits: CallbackLimits = DEFAULT_LIMITS
) -> tuple[AttemptResult, MisbehavingServer]:
    """Attempt one callback at a server that behaves so."""
    async with serve(behaviour) as server, make_client(limits=limits) as client:
        return await client.post(server.url(), {}, BODY), server
