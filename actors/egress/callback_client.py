"""One callback attempt: a single POST to a server that may do anything, bounded in every way.

The status line decides. Whatever follows it (a dripping body, a bomb, a reset) is read for a
second and 4 KiB at most, shown to the operator, and changes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Final, Self

import httpcore

from actors.egress.connection_pools import OriginPools
from actors.egress.guarded_connections import GuardedBackend
from actors.egress.origin_limiter import OriginBusy, OriginLimiter
from actors.egress.tls import PEER_ERRORS, failure_code, ssl_context
from service.deliveries.attempt_results import (
    MAX_BODY_BYTES,
    AttemptResult,
    classify_failure,
    classify_status,
    printable,
)
from service.deliveries.retry_schedule import parse_retry_after
from service.network.urls import InvalidUrl, ParsedUrl, parse_endpoint_url

#: The headers of one attempt, or a function that makes them when the request is sent.
Headers = Mapping[str, str] | Callable[[], Mapping[str, str]]

#: Few, and kept for a short time: many servers close idle connections after 5 s (Node's default),
#: and a request sent at that moment is lost.
_MAX_IDLE_ORIGINS: Final = 20
_KEEPALIVE_SECONDS: Final = 4.0


@dataclass(frozen=True)
class CallbackLimits:
    """Limits of callback attempts.

    Parameters:
      connect_seconds: For the lookup and the connection; as much again for the TLS handshake.
      total_seconds: For the whole exchange.
      capture_seconds: For the body, within the total.
      per_origin: Attempts in flight per origin.
      initial_waiting: How many more may wait for an origin whose pace is unknown.
      wait_seconds: The longest that any may wait.
      in_flight: Attempts in flight or waiting over all origins; beyond that each origin may still
        have one.
    """

    connect_seconds: float = 3.0
    total_seconds: float = 15.0
    capture_seconds: float = 1.0
    per_origin: int = 4
    initial_waiting: int = 28
    wait_seconds: float = 1.0
    in_flight: int = 1000


DEFAULT_LIMITS: Final = CallbackLimits()


class CallbackClient:
    """Sends callbacks; opened once per process, as an async context manager.

    Parameters:
      backend: Opens the connections.
      version: Heliograph's version, for the `User-Agent`.
      allow_http: Whether plain HTTP is accepted.
      ca_bundle: Path of a PEM file to trust instead of the system's CAs.
      limits: The limits of an attempt.

    Raises:
      ValueError: The CA bundle cannot be read.
    """

    def __init__(
        self,
        backend: GuardedBackend,
        *,
        version: str,
        allow_http: bool = False,
        ca_bundle: str | None = None,
        limits: CallbackLimits = DEFAULT_LIMITS,
    ) -> None:
        self._allow_http = allow_http
        self._user_agent = f"Heliograph/{version}"
        self._limits = limits
        self._limiter = OriginLimiter(
            limits.per_origin, limits.initial_waiting, limits.wait_seconds, limits.in_flight
        )
        trusted = ssl_context(ca_bundle)

        def make_pool() -> httpcore.AsyncConnectionPool:
            return httpcore.AsyncConnectionPool(
                ssl_context=trusted,
                max_connections=None,  # the limiter bounds them
                keepalive_expiry=_KEEPALIVE_SECONDS,
                network_backend=backend,
            )

        self._pools = OriginPools(make_pool, _MAX_IDLE_ORIGINS, _KEEPALIVE_SECONDS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pools.aclose()

    async def post(self, url: str, headers: Headers, body: bytes) -> AttemptResult:
        """Send one callback and wait for its status line.

        Waits a moment while the origin is busy with other callbacks; the duration of the attempt
        does not include that wait.

        Parameters:
          url: The callback endpoint.
          headers: The signature's headers; the others are set here. A function is called after
            the wait, which could make an earlier timestamp stale.
          body: The signed bytes.

        Returns:
          How the attempt ended; whatever the peer does is a result, never an exception.
        """
        try:
            target = parse_endpoint_url(url, allow_http=self._allow_http)
        except InvalidUrl:
            return classify_failure("invalid_url")
        try:
            async with (
                self._limiter.slot(target.origin),
                self._pools.acquire(target.origin) as pool,
            ):
                signed = headers if isinstance(headers, Mapping) else headers()
                return await self._exchange(pool, self._request(target, signed, body))
        except OriginBusy:
            return classify_failure("origin_busy")

    async def _exchange(
        self, pool: httpcore.AsyncConnectionPool, request: httpcore.Request
    ) -> AttemptResult:
        loop = asyncio.get_running_loop()
        started = loop.time()
        deadline = started + self._limits.total_seconds
        try:
            async with asyncio.timeout_at(deadline):
                response = await pool.handle_async_request(request)
        except PEER_ERRORS as error:
            return classify_failure(failure_code(error), duration_ms=_ms(loop.time() - started))
        duration_ms = _ms(loop.time() - started)
        until = min(deadline, loop.time() + self._limits.capture_seconds)
        return classify_status(
            response.status,
            _retry_after_ms(response),
            body=printable(await _capture_body(response, until)),
            duration_ms=duration_ms,
        )

    def _request(
        self, target: ParsedUrl, headers: Mapping[str, str], body: bytes
    ) -> httpcore.Request:
        all_headers: dict[bytes | str, bytes | str] = {
            "host": target.authority,
            "user-agent": self._user_agent,
            "accept": "*/*",
            "accept-encoding": "identity",
            "content-type": "application/json",
            **{name.lower(): value for name, value in headers.items()},
            "content-length": str(len(body)),
        }
        return httpcore.Request(
            "POST",
            httpcore.URL(
                scheme=target.scheme, host=target.host, port=target.port, target=target.target
            ),
            headers=all_headers,
            content=body,
            extensions={"timeout": {"connect": self._limits.connect_seconds}},
        )


async def _capture_body(response: httpcore.Response, until: float) -> bytes:
    captured = bytearray()
    with suppress(*PEER_ERRORS):
        async with aclosing(response), asyncio.timeout_at(until):
            async for chunk in response.aiter_stream():
                captured += chunk
                if len(captured) >= MAX_BODY_BYTES:
                    break
    return bytes(captured[:MAX_BODY_BYTES])


def _retry_after_ms(response: httpcore.Response) -> int | None:
    for name, value in response.headers:
        if name.lower() == b"retry-after":
            return parse_retry_after(value.decode("latin-1"), time.time())
    return None


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
