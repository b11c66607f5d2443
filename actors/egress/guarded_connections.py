"""The only way out to a customer's server: dials checked addresses, never names.

A URL that is checked first and fetched later is resolved twice, and the second result may differ
(DNS rebinding). Here a name is resolved once, every resulting address is checked, and one of them
is dialled as a literal. TLS keeps the host name for SNI and for the certificate.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

import httpcore

from actors.egress.dns import CoalescingResolver, Resolver, resolve
from service.network.ip_filter import IpFilter

SocketOption = (
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
)

CONNECT_SECONDS: Final = 3.0

#: Small reads: a flood of tiny events (1xx responses, header lines) is parsed without a pause, so
#: its size decides for how long the event loop is blocked.
READ_BYTES: Final = 4096
#: More than the headers (h11 stops at 100 KiB) and the captured body ever take. Without it an
#: endless series of 1xx responses keeps one core busy until the exchange times out.
MAX_RESPONSE_BYTES: Final = 128 * 1024
#: Without it the kernel buffers megabytes of a body that nobody reads.
RECEIVE_BUFFER: Final = (socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)

#: The time left is split between at most this many of the addresses not tried yet.
_MAX_TIME_SHARES: Final = 3

_ERRNO_CODES: Final = {
    errno.ECONNREFUSED: "connection_refused",
    errno.ECONNRESET: "connection_reset",
    errno.ECONNABORTED: "connection_reset",
    errno.ETIMEDOUT: "timeout",
    errno.EADDRNOTAVAIL: "local_resources",
    errno.EMFILE: "local_resources",
    errno.ENFILE: "local_resources",
    errno.ENOBUFS: "local_resources",
    errno.ENOMEM: "local_resources",
}


class EgressError(httpcore.ConnectError):
    """The connection could not be made, or had to be aborted.

    Parameters:
      code: The reason, one of the codes of `service.deliveries.attempt_results`.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections for httpcore, to allowed addresses only.

    Parameters:
      ip_filter: Decides which addresses may be reached.
      resolver: Resolves host names.
      max_response_bytes: The largest response, head included.
      options: Set on every opened socket.
    """

    def __init__(
        self,
        ip_filter: IpFilter,
        resolver: Resolver = resolve,
        *,
        max_response_bytes: int = MAX_RESPONSE_BYTES,
        options: Sequence[SocketOption] = (RECEIVE_BUFFER,),
    ) -> None:
        self._ip_filter = ip_filter
        self._resolver = CoalescingResolver(resolver)
        self._max_response_bytes = max_response_bytes
        self._options = options
        self._tcp = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve once, check every answer, dial one of them, check the peer.

        Parameters:
          host: The name to reach.
          port: The port to reach.
          timeout: Seconds for the lookup and the dialling together.
          local_address: The local address to dial from.
          socket_options: Set on the opened socket, in addition to `options`.

        Raises:
          EgressError: There is no connection; its `code` says why.
          httpcore.ConnectTimeout: The time is over.
        """
        seconds = CONNECT_SECONDS if timeout is None else timeout

        async def dial(address: str, share: float) -> httpcore.AsyncNetworkStream:
            return await self._tcp.connect_tcp(address, port, share, local_address)

        try:
            async with asyncio.timeout(seconds) as deadline:
                addresses = await self._resolve_allowed(host, port)
                tcp = await _dial_first_reachable(addresses, dial, deadline)
                stream = GuardedStream(tcp, self._max_response_bytes)
        except TimeoutError:
            raise httpcore.ConnectTimeout from None
        await self._check_peer(stream)
        stream.set_options([*self._options, *(socket_options or ())])
        return stream

    async def sleep(self, seconds: float) -> None:
        """Pause between httpcore's retries (part of its backend interface)."""
        await asyncio.sleep(seconds)

    async def _resolve_allowed(self, host: str, port: int) -> Sequence[str]:
        try:
            addresses = await self._resolver.addresses(host, port)
        except (OSError, UnicodeError):
            raise EgressError("dns_failed") from None
        if not addresses:
            raise EgressError("dns_failed")
        if not all(map(self._ip_filter.allows, addresses)):
            raise EgressError("blocked_address")
        return addresses

    async def _check_peer(self, stream: GuardedStream) -> None:
        # The kernel may connect to another address than the one dialled (it does for 0.0.0.0).
        peer = stream.get_extra_info("server_addr")
        if peer is not None and self._ip_filter.allows(peer[0]):
            return
        await stream.aclose()
        # A connection that was reset at once has no peer address any more.
        raise EgressError("connection_reset" if peer is None else "blocked_address")


class GuardedStream(httpcore.AsyncNetworkStream):
    """A connection that limits its reads and reports TLS failures as such.

    Parameters:
      stream: The open connection.
      max_response_bytes: The largest response.
    """

    def __init__(
        self, stream: httpcore.AsyncNetworkStream, max_response_bytes: int = MAX_RESPONSE_BYTES
    ) -> None:
        self._stream = stream
        self._max_response_bytes = max_response_bytes
        self._response_bytes = 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read up to READ_BYTES; `b""` at the end of the stream.

        Raises:
          EgressError: The response exceeds its limit.
        """
        data = await self._stream.read(min(max_bytes, READ_BYTES), timeout)
        self._response_bytes += len(data)
        if self._response_bytes > self._max_response_bytes:
            raise EgressError("protocol_error")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of it; what is read afterwards counts as another response."""
        self._response_bytes = 0
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close at once, without waiting for the peer."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Wrap the connection in TLS, with the same limit.

        Parameters:
          ssl_context: The trusted CAs.
          server_hostname: The name that the certificate must have.
          timeout: Seconds.

        Raises:
          EgressError: The handshake or the verification of the certificate failed.
          httpcore.ConnectTimeout: The time is over.
        """
        try:
            stream = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        except httpcore.ConnectError as error:
            raise EgressError("tls_failed") from error
        except asyncio.CancelledError:
            # httpcore closes after errors only: a canceled handshake would leak the socket.
            await self._stream.aclose()
            raise
        return GuardedStream(stream, self._max_response_bytes)

    def set_options(self, options: Iterable[SocketOption]) -> None:
        """Set socket options; one that was reset accepts none, which is ignored."""
        sock = self.get_extra_info("socket")
        with suppress(OSError):
            for option in options if sock is not None else ():
                sock.setsockopt(*option)

    def get_extra_info(self, info: str) -> Any:
        """The properties that httpcore reads of a stream (`ssl_object`, `is_readable`)."""
        try:
            return self._stream.get_extra_info(info)
        except AttributeError:
            # After a reset by the peer, uvloop has removed the socket and anyio asks None for its
            # address. A lost connection counts as readable: it is not used again.
            return True if info == "is_readable" else None


async def _dial_first_reachable(
    addresses: Sequence[str],
    dial: Callable[[str, float], Awaitable[httpcore.AsyncNetworkStream]],
    deadline: asyncio.Timeout,
) -> httpcore.AsyncNetworkStream:
    failure: httpcore.NetworkError | httpcore.TimeoutException = EgressError("unreachable")
    for untried, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
        try:
            return await dial(address, _seconds_left(deadline) / min(untried, _MAX_TIME_SHARES))
        except httpcore.ConnectTimeout as error:
            failure = error
        except httpcore.ConnectError as error:
            failure = EgressError(_connect_code(error))
    raise failure


def _seconds_left(deadline: asyncio.Timeout) -> float:
    when = deadline.when()
    return 0.0 if when is None else when - asyncio.get_running_loop().time()


def _connect_code(error: BaseException) -> str:
    """Map the operating system's error, found among the causes, to a code."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno is not None:
            return _ERRNO_CODES.get(cause.errno, "unreachable")
        cause = cause.__cause__
    return "unreachable"
