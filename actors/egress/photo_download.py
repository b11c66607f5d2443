"""Photos by URL: one GET to a server that may do anything, as guarded as a callback.

As with callbacks, a name is resolved once, every address is checked, and redirects are not
followed. The response goes to disk and is counted as it arrives.
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
from service.network.ip_filter import IpFilter
from service.network.urls import InvalidUrl, ParsedUrl, parse_endpoint_url
from service.photos.photo import MAX_PHOTO_BYTES
from service.photos.spooled_file import SpooledFile

TOTAL_SECONDS: Final = 30.0
_CONNECT_SECONDS: Final = 3.0
#: Besides 5xx: a later request may succeed.
_RETRYABLE_STATUSES: Final = frozenset({408, 425, 429})

_BLOCKED: Final = ErrorPolicy(
    Outcome.FINAL,
    "photo_url_blocked",
    "The photo's URL leads to an address that downloads may not reach.",
)
_INVALID_URL: Final = ErrorPolicy(
    Outcome.FINAL, "photo_url_refused", "The photo's URL cannot be used."
)


class PhotoDownloader:
    """Downloads photos; opens nothing before the first one.

    Parameters:
      ip_filter: Decides which addresses may be reached.
      version: Heliograph's version, for the `User-Agent`.
      allow_http: Whether plain HTTP is accepted.
      ca_bundle: Path of a PEM file to trust instead of the system's CAs.
      total_seconds: The time limit of one download.
      resolver: Resolves host names.
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
        max_bytes = MAX_PHOTO_BYTES + MAX_RESPONSE_BYTES
        # No socket options: the small receive buffer of callbacks would slow megabytes down.
        self._backend = GuardedBackend(
            ip_filter, resolver, max_response_bytes=max_bytes, options=()
        )
        self._user_agent = f"Heliograph/{version}"
        self._allow_http = allow_http
        self._ca_bundle = ca_bundle
        self._total_seconds = total_seconds

    def origin(self, url: str) -> str:
        """The scheme, host and port of a photo's URL.

        Raises:
          ClassifiedError: The URL cannot be used.
        """
        return self._parse(url).origin

    async def download(self, url: str, spooled: SpooledFile) -> None:
        """Download one photo.

        Parameters:
          url: Its URL.
          spooled: The file that receives it; finished afterwards.

        Raises:
          ClassifiedError: It could not be downloaded; the message does not repeat the URL.
          PhotoRefused: It is too large.
        """
        target = self._parse(url)
        try:
            async with asyncio.timeout(self._total_seconds):
                await self._fetch(target, spooled)
        except PEER_ERRORS as error:
            raise ClassifiedError(_download_failed(failure_code(error))) from None

    def _parse(self, url: str) -> ParsedUrl:
        try:
            return parse_endpoint_url(url, allow_http=self._allow_http)
        except InvalidUrl:
            raise ClassifiedError(_INVALID_URL) from None

    async def _fetch(self, target: ParsedUrl, spooled: SpooledFile) -> None:
        # Reading certificates blocks, hence the thread. Photos are rare: no connection is kept.
        trusted = await asyncio.to_thread(ssl_context, self._ca_bundle)
        async with httpcore.AsyncConnectionPool(
            ssl_context=trusted, max_keepalive_connections=0, network_backend=self._backend
        ) as pool:
            response = await pool.handle_async_request(self._request(target))
            async with aclosing(response):
                _check_head(response)
                async for chunk in response.aiter_stream():
                    spooled.write(chunk)
                    await spooled.flush()
        await spooled.finish()

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
        raise ClassifiedError(_download_failed(f"http_{status}"))
    if 300 <= status < 400:
        raise ClassifiedError(_rejected("its URL redirects, and redirects are not followed"))
    if status != 200:
        raise ClassifiedError(_rejected(f"its server responded with status {status}"))
    headers = {name.lower(): value for name, value in response.headers}
    if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise ClassifiedError(_rejected("its server compressed it although asked not to"))


def _download_failed(code: str) -> ErrorPolicy:
    if code == "blocked_address":
        return _BLOCKED
    message = f"The photo could not be downloaded ({code})."
    return ErrorPolicy(Outcome.RETRY, "photo_url_failed", message)


def _rejected(why: str) -> ErrorPolicy:
    message = f"The photo could not be downloaded: {why}."
    return ErrorPolicy(Outcome.FINAL, "photo_url_refused", message)
