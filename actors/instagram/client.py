"""aiograpi's client adapted for a service: no request sent twice, no prompt on a terminal."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, cast
from urllib.parse import urlencode

import httpx
from aiograpi import Client
from aiograpi.exceptions import (
    ClientIncompleteReadError,
    ClientRequestTimeout,
    ClientStatusFail,
)

from actors.instagram.idempotency_tokens import (
    client_context_for,
    creation_key_for,
    current_token,
)
from actors.instagram.login_flow import LoginFlow
from actors.instagram.options import ClientOptions
from actors.instagram.reply import Reply, attach_reply, may_hide_failure
from actors.instagram.reply_policies import policy_for_words
from actors.instagram.sent_words import sent_words
from actors.instagram.transport import DirectSession, NoRetrySession, ssl_context
from service.accounts.session_settings import exportable, is_logged_in, unchanged

# The library logs whole replies and headers, cookies included, even at ERROR.
_LIBRARY_LOGGERS: Final = ("aiograpi", "private_request", "public_request", "graphql_request")
_HTTP_LOGGERS: Final = ("httpx", "httpcore")

# Errors after which the library sleeps and sends the request again.
_RESENT_BY_LIBRARY: Final = (ClientRequestTimeout, ClientIncompleteReadError)

_creation_keys: ContextVar[list[str] | None] = ContextVar("creation_keys", default=None)


async def build_client(
    options: ClientOptions, settings: Mapping[str, Any] | None = None
) -> InstagramClient:
    """Build a client in a thread: reading the certificates takes 0.1 s.

    Parameters:
      options: How it connects to Instagram.
      settings: An account's saved aiograpi or instagrapi settings; None creates a new device.

    Returns:
      A client that has sent nothing yet. It belongs to the event loop of its first request.
    """
    _silence_library_loggers()
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_builder_thread(), InstagramClient, options, settings)


@functools.cache
def _builder_thread() -> Executor:
    """A single thread: building is CPU work, and more threads would only delay the event loop."""
    return ThreadPoolExecutor(1, "client-builder")


async def close_client(client: InstagramClient) -> None:
    """Close a client's connections; a client that is only dropped is never freed.

    `AsyncCurl.close` (curl_cffi 0.16) swallows a cancellation, and the cancelled task would run
    on. Hence a task of its own, which is awaited before the cancellation is passed on.
    """
    closing = asyncio.ensure_future(_close_sessions(client))
    try:
        await asyncio.shield(closing)
    except asyncio.CancelledError:
        await closing
        raise


async def _close_sessions(client: InstagramClient) -> None:
    async with client.private, client.public, client.graphql:
        pass


class InstagramClient(LoginFlow):
    """A client that sends each request once, through one proxy or none, by default at human pace.

    Parameters:
      options: How it connects to Instagram.
      settings: Saved settings; those that belong to a process are ignored.
    """

    graphql: Any
    _reads = 0

    def __init__(self, options: ClientOptions, settings: Mapping[str, Any] | None = None) -> None:
        self._human_pace = options.human_pace
        super().__init__(
            settings=exportable(settings or {}),
            proxy=options.proxy,
            tls_verify=options.ca_bundle or True,
            request_timeout=Client.request_timeout if options.human_pace else 0,
        )

    @property
    def exportable_settings(self) -> dict[str, Any]:
        """A copy of the settings that may be stored or exported."""
        return exportable(self.get_settings())

    def settings_unchanged(self, settings: Mapping[str, Any]) -> bool:
        """Whether the exportable settings equal these."""
        return unchanged(self.get_settings(), settings)

    @property
    def logged_in(self) -> bool:
        """Whether the settings contain a login, valid or not."""
        return is_logged_in(self.get_settings())

    def take_reads(self) -> int:
        """Return and reset the number of read requests."""
        reads, self._reads = self._reads, 0
        return reads

    # Proxy and connections

    def set_proxy(self, dsn: str | None) -> bool:
        """Send everything through a proxy, or everything directly for None."""
        # The constructor calls this before any session can open a connection.
        if not isinstance(self.graphql, DirectSession):
            self.graphql = DirectSession.like(self.graphql)
        return cast(bool, super().set_proxy(dsn))

    def _build_public_session(self, verify: bool | str | None = None) -> DirectSession:
        return DirectSession(self.tls_verify if verify is None else verify)

    def _private_session(self, _selected: str, verify: bool | str) -> NoRetrySession:
        return NoRetrySession(verify)

    # Human pace

    async def small_delay(self) -> None:
        """Sleep between two requests, at human pace only."""
        if self._human_pace:
            await super().small_delay()

    async def very_small_delay(self) -> None:
        """Sleep briefly, at human pace only."""
        if self._human_pace:
            await super().very_small_delay()

    # No resends

    async def private_request(self, *args: Any, **kwargs: Any) -> Any:
        """Send one request to the private API, never a second one after an error."""
        if not (kwargs.get("login") or kwargs.get("data") or args[1:2]):
            self._reads += 1
        try:
            return await super().private_request(*args, **kwargs)
        except _NotResentError as wrapper:
            raise wrapper.error from wrapper.error.__cause__

    async def _send_private_request(self, endpoint: str, *args: Any, **kwargs: Any) -> Any:
        # After a 500 the library repeats the request without the cursor and returns page 1 for
        # page 2. It leaves a query that is part of the endpoint alone.
        params, sent = kwargs.get("params") or {}, sent_words(endpoint, kwargs.get("data"))
        if "min_id" in params or "max_id" in params:
            endpoint, kwargs["params"] = f"{endpoint}?{urlencode(params)}", None
        try:
            document = await super()._send_private_request(endpoint, *args, **kwargs)
            if may_hide_failure(document):
                self._check_reply(sent)
        except Exception as error:
            attach_reply(error, self.last_response, sent)
            if isinstance(error, _RESENT_BY_LIBRARY):
                raise _NotResentError(error) from None
            raise
        return document

    def _check_reply(self, sent: Sequence[str]) -> None:
        """Raise an error for a reply that fails in a way that the library does not notice."""
        reply = Reply.of(self.last_response, sent)
        if not reply.is_success or policy_for_words(reply):
            raise ClientStatusFail("Instagram refused in a success's reply")

    # Idempotency tokens

    def generate_mutation_token(self) -> str:
        """Generate a DM's token; inside `write_token`, derive it from the write's token."""
        token = current_token()
        return client_context_for(token) if token else cast(str, super().generate_mutation_token())

    def generate_uuid(self, prefix: str = "", suffix: str = "") -> str:
        """Generate a UUID; a comment's first one inside `write_token` is its idempotence token."""
        keys = _creation_keys.get()
        return keys.pop() if keys else cast(str, super().generate_uuid(prefix, suffix))

    async def media_comment(self, *args: Any, **kwargs: Any) -> Any:
        """Comment on a post; inside `write_token`, with the write's idempotence token."""
        with _fixed_creation_key():
            return await super().media_comment(*args, **kwargs)


class _NotResentError(Exception):
    """Carries an error past the library's `except` clauses, which would resend the request."""

    def __init__(self, error: Exception) -> None:
        super().__init__(type(error).__name__)
        self.error = error


def upload_client(client: InstagramClient, timeout: httpx.Timeout) -> httpx.AsyncClient:
    """Open an HTTP client for uploads to another Instagram host, through the account's proxy."""
    return httpx.AsyncClient(
        proxy=client.private.proxy,
        verify=ssl_context(client.tls_verify),
        follow_redirects=False,  # the login travels with every request
        trust_env=False,
        timeout=timeout,
    )


@contextmanager
def _fixed_creation_key() -> Iterator[None]:
    token = current_token()
    mark = _creation_keys.set([creation_key_for(token)] if token else None)
    try:
        yield
    finally:
        _creation_keys.reset(mark)


@functools.cache
def _silence_library_loggers() -> None:
    # Once per process: each call invalidates the level caches of all loggers.
    for name in _LIBRARY_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for name in _HTTP_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
