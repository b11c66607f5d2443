"""HTTP sessions of an account's client: one proxy, one connection, each request sent once."""

from __future__ import annotations

import functools
import math
import ssl
from contextvars import Context, ContextVar, copy_context
from typing import Any, Final

import httpx
from aiograpi import httpx_ext
from curl_cffi import AsyncCurl, CurlECode, CurlMOpt, CurlOpt, ffi, lib

from actors.instagram.ca_directory import ca_directory
from actors.instagram.idempotency_tokens import current_token
from actors.instagram.request_deadline import CallOverdueError, seconds_until_deadline

#: Whether the current task's request carries a password.
sending_password: Final[ContextVar[bool]] = ContextVar("password_sent", default=False)


class NoRetrySession(httpx_ext.CurlPrivateSession):  # type: ignore[misc]
    """The private API: HTTP/2 over curl, no redirects, a fresh connection for each write."""

    def _set_client(self) -> None:
        super()._set_client()
        self._client.follow_redirects = False  # a 307 would repeat a POST
        if self.verify:
            _use_ca_directory(self._client._transport, self.verify)

    async def request(self, *args: Any, **kwargs: Any) -> Any:
        """Send one request, or raise `CallOverdueError` after the deadline."""
        transport = self._client._transport
        if transport._client is None:
            _limit_to_one_connection(transport.client.acurl)
            _check_deadline_before_sending(transport.client.acurl)
        # libcurl resends a POST by itself when a reused connection is reset before the reply.
        fresh = current_token() is not None or sending_password.get()
        transport._curl_options[CurlOpt.FRESH_CONNECT] = int(fresh)
        # A connection that is made after the deadline is of no use.
        timeout = httpx.Timeout(kwargs.get("timeout", httpx_ext.DEFAULT_TIMEOUT))
        timeout.connect = min(timeout.connect or math.inf, seconds_until_deadline())
        try:
            return await super().request(*args, **{**kwargs, "timeout": timeout})
        except httpx.ConnectError as error:
            if getattr(error.__cause__, "code", None) == CurlECode.ABORTED_BY_CALLBACK:
                raise CallOverdueError from None
            raise


def _use_ca_directory(transport: Any, verify: bool | str) -> None:
    """Trust the same certificates, but load them on demand; the same for a proxy over TLS."""
    directory = ca_directory(verify if isinstance(verify, str) else None)
    if directory is not None:
        # libcurl needs a CA file as well, or it reads the system's; any one of them will do.
        transport._verify = str(min(directory.iterdir()))
        for option in (CurlOpt.CAPATH, CurlOpt.PROXY_CAPATH):
            transport._curl_options[option] = str(directory)


def _limit_to_one_connection(multi: AsyncCurl) -> None:
    """Close an account's idle connection before another one opens, to save memory.

    `AsyncCurl.setopt` (curl_cffi 0.16) passes the address of a number instead of the number.
    """
    one = ffi.cast("void *", 1)
    error = lib.curl_multi_setopt(multi._curlm, CurlMOpt.MAX_TOTAL_CONNECTIONS, one)
    assert not error  # noqa: S101 - the option exists since libcurl 7.30


def _check_deadline_before_sending(multi: Any) -> None:
    """Have libcurl check the deadline once more, right before the first byte of a request.

    Between the check in `NoRetrySession.request` and that byte lie an iteration of the loop and, on
    a new connection, its handshakes. A process frozen there would otherwise send when it wakes up,
    while another worker may be using the account.
    """
    add = multi.add_handle

    def add_checked(curl: Any) -> Any:
        # Kept alive by the curl handle: libcurl stores only the address.
        curl.deadline = ffi.new_handle(copy_context())
        for option, value in (
            (CurlOpt.PREREQDATA, curl.deadline),
            (CurlOpt.PREREQFUNCTION, _may_send),
        ):
            refused = lib._curl_easy_setopt(curl._curl, option, value)
            assert not refused  # noqa: S101 - known since libcurl 7.80
        return add(curl)

    multi.add_handle = add_checked


@ffi.callback("int(void *, char *, char *, int, int)", error=1)  # type: ignore[untyped-decorator]
def _may_send(handle: Any, *_: Any) -> int:
    """CURLOPT_PREREQFUNCTION: 0 to send, 1 to abort the request."""
    context: Context = ffi.from_handle(handle)
    try:
        context.run(seconds_until_deadline)
    except CallOverdueError:
        return 1
    return 0


class DirectSession(httpx_ext.Session):  # type: ignore[misc]
    """The public pages: httpx without a proxy from the environment."""

    async def request(self, *args: Any, **kwargs: Any) -> Any:
        """Send one request, or raise `CallOverdueError` after the deadline."""
        seconds_until_deadline()
        return await super().request(*args, **kwargs)

    @classmethod
    def like(cls, other: Any) -> DirectSession:
        """Create a session with another session's headers and trusted certificates."""
        session = cls(other.verify)
        session.headers.update(other.headers)
        return session

    def _set_client(self) -> None:
        self._client = httpx.AsyncClient(
            proxy=self._proxy,
            verify=ssl_context(self.verify),
            follow_redirects=True,
            trust_env=False,
        )


@functools.lru_cache(maxsize=8)
def ssl_context(verify: bool | str) -> ssl.SSLContext:
    """Read the certificates once for all clients; a copy takes over 1 MiB."""
    if isinstance(verify, str):
        return ssl.create_default_context(cafile=verify)
    return httpx.create_ssl_context(verify=verify, trust_env=False)
