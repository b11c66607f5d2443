"""Photos by URL: one GET to a server that may do anything, under the guard of the callbacks.

As with callbacks, a name is resolved once, every address is checked, and redirects are not
followed. What comes is counted while it comes, and goes to disk.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Final

import httpcore

from actors.egress.dns import Resolver, resolve
from actors.egress.guarded_connections import MAX_RESPONSE_BYTES, GuardedBackend
from actors.egress.tls import PEER_ERRORS, failure_code, ssl_context
from actors.instagram.error_policies import ErrorPolicy, Outcome
from actors.instagram.errors import ClassifiedError
from service.deliveries.endpoints import InvalidUrl, ParsedUrl, parse_endpoint_url
from service.network.ip_filter import IpFilter
from service.photos.photo import MAX_PHOTO_BYTES
from service.photos.spooled_file import SpooledFile

TOTAL_SECONDS: Final = 30.0
_CONNECT_SECONDS: Final = 3.0
#: How many photos come in at a time; more wait, so that they do not fill the disk.
_MAX_CONCURRENT: Final = 8
#: Answers that may be better in a moment.
_RETRYABLE_STATUSES: Final = frozenset({408, 425, 429})

_BLOCKED: Final = ErrorPolicy(
    Outcome.FINAL,
    "photo_url_blocked",
    "The photo's URL leads to an address that may not be reached from here.",
)
_UNUSABLE: Final = ErrorPolicy(
    Outcome.FINAL, "photo_url_refused", "The photo's URL cannot be used."
)


class PhotoDownloader:
    """Fetches photos; nothing is opened before the first one.

    Parameters:
      guard: Decides which addresses may be reached.
      version: Heliograph's own, for the `User-Agent`.
      allow_http: Whether plain HTTP will do.
      ca_bundle: Path of a PEM file to trust instead of the system's CAs.
      total_seconds: For the whole of one photo.
      resolver: Where addresses come from.
    """

    def __init__(
        self,
        ip_filter: IpFilter,
        *,
        version: str,
        allow_http: bool = False,
        ca_bundle: str | None = None,
        total_seconds: float = TOTAL_SECONDS,
        resolver: Resolver = resolve,
    ) -> None:
        # Without the callbacks' small receive buffer, which would make megabytes slow.
        most = MAX_PHOTO_BYTES + MAX_RESPONSE_BYTES
        self._backend = GuardedBackend(ip_filter, resolver, max_response_bytes=most, options=())
        self._user_agent = f"Heliograph/{version}"
        self._allow_http = allow_http
        self._ca_bundle = ca_bundle
        self._total_seconds = total_seconds
        self._slots = asyncio.Semaphore(_MAX_CONCURRENT)

    async def download(self, url: str, spooled: SpooledFile) -> None:
        """Fetch one photo.

        Parameters:
          url: Where it is.
          incoming: Where it goes; finished afterwards.

        Raises:
          Judged: It could not be fetched; the message says why and does not repeat the URL.
          PhotoRefused: It is too large.
        """
        try:
            target = parse_endpoint_url(url, allow_http=self._allow_http)
        except InvalidUrl:
            raise ClassifiedError(_UNUSABLE) from None
        async with self._slots:
            try:
                async with asyncio.timeout(self._total_seconds):
                    await self._fetch(target, spooled)
            except PEER_ERRORS as error:
                raise ClassifiedError(_fetch_failed(failure_code(error))) from None

    async def _fetch(self, target: ParsedUrl, incoming: SpooledFile) -> None:
        # Certificates are read off the loop. A connection is not used twice: photos are rare.
        trust = await asyncio.to_thread(ssl_context, self._ca_bundle)
        async with httpcore.AsyncConnectionPool(
            ssl_context=trust, max_keepalive_connections=0, network_backend=self._backend
        ) as pool:
            response = await pool.handle_async_request(self._request(target))
            async with aclosing(response):
                _check_head(response)
                async for chunk in response.aiter_stream():
                    incoming.write(chunk)
                    await incoming.flush()
        await incoming.finish()

    def _request(self, target: ParsedUrl) -> httpcore.Request:
        return httpcore.Request(
            "GET",
            httpcore.URL(
                scheme=target.scheme, host=target.host, port=target.port, target=target.target
            ),
            headers={
                "host": target.authority,
                "user-agent": self._user_agent,
                "accept": "image/jpeg, image/png, image/webp",
                "accept-encoding": "identity",
                "connection": "close",
            },
            extensions={"timeout": {"connect": _CONNECT_SECONDS}},
        )


def _check_head(response: httpcore.Response) -> None:
    status = response.status
    if status >= 500 or status in _RETRYABLE_STATUSES:
        raise ClassifiedError(_fetch_failed(f"http_{status}"))
    if 300 <= status < 400:
        raise ClassifiedError(_refused("its URL leads on to another, which is not followed"))
    if status != 200:
        raise ClassifiedError(_refused(f"its server answers with status {status}"))
    names = {name.lower(): value for name, value in response.headers}
    if names.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise ClassifiedError(
            _refused("its server sends it compressed although it was asked not to")
        )


def _fetch_failed(code: str) -> ErrorPolicy:
    if code == "blocked_address":
        return _BLOCKED
    what = f"The photo could not be fetched ({code})."
    return ErrorPolicy(Outcome.RETRY, "photo_url_failed", what)


def _refused(why: str) -> ErrorPolicy:
    return ErrorPolicy(
        Outcome.FINAL, "photo_url_refused", f"The photo could not be fetched: {why}."
    )
