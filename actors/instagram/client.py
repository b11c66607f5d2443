"""aiograpi's client, made fit for a service: nothing sent twice, nothing asked on a terminal."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, cast
from urllib.parse import urlencode

import httpx
from aiograpi import Client
from aiograpi.exceptions import (
    ChallengeRequired,
    ClientIncompleteReadError,
    ClientRequestTimeout,
)

from actors.instagram.idempotency_tokens import (
    client_context_for,
    creation_key_for,
    current_token,
)
from actors.instagram.options import ClientOptions
from actors.instagram.transport import DirectSession, NoRetrySession, password_sent, trusted
from service.accounts.session_settings import exportable, is_logged_in, unchanged

# Whole replies and header sets, cookies included, go to these loggers, at ERROR too.
_TALKATIVE: Final = ("aiograpi", "private_request", "public_request", "graphql_request")
_CARRIERS: Final = ("httpx", "httpcore")

# Replies that the library meets with a sleep and a second request.
_RESENT: Final = (ClientRequestTimeout, ClientIncompleteReadError)

_creation_keys: ContextVar[list[str] | None] = ContextVar("creation_keys", default=None)


async def build_client(
    options: ClientOptions, settings: Mapping[str, Any] | None = None
) -> InstagramClient:
    """Make a client off the loop: reading certificates takes a tenth of a second.

    Parameters:
      options: How it reaches Instagram.
      settings: An account's saved settings, aiograpi's or instagrapi's; None mints a new device.

    Returns:
      A client that has sent nothing yet. It belongs to the loop of its first request.
    """
    _quieten()
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_builder(), InstagramClient, options, settings)


@functools.cache
def _builder() -> Executor:
    """One thread: building is work and no waiting, and each more would keep the loop waiting."""
    return ThreadPoolExecutor(1, "client-builder")


async def close_client(client: InstagramClient) -> None:
    """Close a client's connections; one that is only dropped never goes away."""
    async with client.private, client.public, client.graphql:
        pass


class InstagramClient(Client):  # type: ignore[misc]
    """A client that sends each request once, by one way, at a human pace unless told otherwise.

    Parameters:
      options: How it reaches Instagram.
      settings: Saved settings; what belongs to a process is left out.
    """

    challenge_code = ""
    graphql: Any
    _reads = 0

    def __init__(self, options: ClientOptions, settings: Mapping[str, Any] | None = None) -> None:
        """Build the client; sends nothing."""
        self._human_pace = options.human_pace
        super().__init__(
            settings=exportable(settings or {}),
            proxy=options.proxy,
            tls_verify=options.ca_bundle or True,
            request_timeout=Client.request_timeout if options.human_pace else 0,
        )

    @property
    def exportable_settings(self) -> dict[str, Any]:
        """A copy of the settings that may travel."""
        return exportable(self.get_settings())

    def settings_unchanged(self, settings: Mapping[str, Any]) -> bool:
        """Whether its portable settings are these."""
        return unchanged(self.get_settings(), settings)

    @property
    def logged_in(self) -> bool:
        """Whether it holds a login, valid or not."""
        return is_logged_in(self.get_settings())

    def take_reads(self) -> int:
        """How many requests have asked for something since this was last asked."""
        reads, self._reads = self._reads, 0
        return reads

    # One way out

    def set_proxy(self, dsn: str | None) -> bool:
        """Send everything through a proxy, or, for None, everything directly."""
        # The constructor comes through here before any session can open a connection.
        if not isinstance(self.graphql, DirectSession):
            self.graphql = DirectSession.like(self.graphql)
        return cast(bool, super().set_proxy(dsn))

    def _build_public_session(self, verify: bool | str | None = None) -> DirectSession:
        return DirectSession(self.tls_verify if verify is None else verify)

    def _private_session(self, _selected: str, verify: bool | str) -> NoRetrySession:
        return NoRetrySession(verify)

    # Its own pace

    async def small_delay(self) -> None:
        """Sleep between two quick requests, at a human pace."""
        if self._human_pace:
            await super().small_delay()

    async def very_small_delay(self) -> None:
        """Sleep a moment, at a human pace."""
        if self._human_pace:
            await super().very_small_delay()

    # Once

    async def private_request(self, *args: Any, **kwargs: Any) -> Any:
        """Send one request to the private API; a lost reply is the caller's to judge."""
        if not (kwargs.get("login") or kwargs.get("data") or args[1:2]):
            self._reads += 1
        try:
            return await super().private_request(*args, **kwargs)
        except _NotResent as held:
            raise held.error from held.error.__cause__

    async def _send_private_request(self, endpoint: str, *args: Any, **kwargs: Any) -> Any:
        # On a 500 the library asks again without the cursor, and page 2 becomes page 1: a query
        # that is part of the endpoint is out of its reach.
        params = kwargs.get("params") or {}
        if "min_id" in params or "max_id" in params:
            endpoint, kwargs["params"] = f"{endpoint}?{urlencode(params)}", None
        try:
            return await super()._send_private_request(endpoint, *args, **kwargs)
        except _RESENT as error:
            raise _NotResent(error) from None

    async def bloks_caa_login_send_request(self, *args: Any, **kwargs: Any) -> Any:
        """Send the password, on a connection of its own as a write."""
        mark = password_sent.set(True)
        try:
            return await super().bloks_caa_login_send_request(*args, **kwargs)
        finally:
            password_sent.reset(mark)

    async def _try_caa_login(self, *_args: Any, **_kwargs: Any) -> bool:
        # The old flow, entered from the current one, would send a wrong password a third time.
        return False

    # Recognisable

    def generate_mutation_token(self) -> str:
        """Draw the token of a DM; inside `write_token`, always the same one."""
        token = current_token()
        return client_context_for(token) if token else cast(str, super().generate_mutation_token())

    def generate_uuid(self, prefix: str = "", suffix: str = "") -> str:
        """Draw a UUID; the first one of a comment inside `write_token` is always the same."""
        keys = _creation_keys.get()
        return keys.pop() if keys else cast(str, super().generate_uuid(prefix, suffix))

    async def media_comment(self, *args: Any, **kwargs: Any) -> Any:
        """Comment on a post."""
        with _creation_key():
            return await super().media_comment(*args, **kwargs)

    # Never a terminal

    async def challenge_code_handler(self, _username: str, _choice: Any = None, **_: Any) -> str:
        """Give the code a person left; without one the login ends with `ChallengeRequired`."""
        return self.challenge_code

    async def change_password_handler(self, _username: str) -> str:
        """End the login: a new password is for a person to choose."""
        raise ChallengeRequired("Instagram wants a new password.")

    async def bloks_caa_resolve_two_step_verification(
        self, send_result: Any, verification_code: str = "", domain: str | None = None
    ) -> Any:
        """Answer the e-mail challenge of a login with a person's code only."""
        # The library would spend `verification_code` here, which may be a TOTP.
        del verification_code
        return await super().bloks_caa_resolve_two_step_verification(
            send_result, verification_code=self.challenge_code, domain=domain
        )


class _NotResent(Exception):
    """Carries an error past the library's own second attempt."""

    def __init__(self, error: Exception) -> None:
        super().__init__(type(error).__name__)
        self.error = error


def plain_client(client: InstagramClient, timeout: httpx.Timeout) -> httpx.AsyncClient:
    """A connection of its own to another host of Instagram's, by the account's one way out.

    Parameters:
      client: The account's client.
      timeout: As httpx has it.
    """
    return httpx.AsyncClient(
        proxy=client.private.proxy,
        verify=trusted(client.tls_verify),
        follow_redirects=False,  # the login travels with every request
        trust_env=False,
        timeout=timeout,
    )


@contextmanager
def _creation_key() -> Iterator[None]:
    token = current_token()
    mark = _creation_keys.set([creation_key_for(token)] if token else None)
    try:
        yield
    finally:
        _creation_keys.reset(mark)


@functools.cache
def _quieten() -> None:
    # Once: it makes every logger of the process think anew.
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for name in _CARRIERS:
        logging.getLogger(name).setLevel(logging.WARNING)
