"""A CONNECT proxy that routes chosen host names to one local server and can simulate faults.

The fake Instagram cuts connections here, so that a client sees the same as with a real proxy or
network, whatever the protocol inside the tunnel.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal, TypedDict, get_args

Fault = Literal["refuse", "407", "cut", "hang"]
FAULTS: Final[tuple[Fault, ...]] = get_args(Fault)
Address = tuple[str, int]
#: Maps the requested host and port to an address; None refuses the tunnel.
Router = Callable[[str, int], Address | None]

_CHUNK = 64 * 1024
_HEAD_TIMEOUT_SECONDS = 30


class Connect(TypedDict):
    """One CONNECT request and its outcome."""

    id: int
    host: str
    port: int
    at: float
    outcome: str


@dataclass(eq=False)
class _Tunnel:
    id: int
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter

    def abort(self) -> None:
        self.client.transport.abort()
        self.server.transport.abort()


@dataclass(frozen=True)
class _Head:
    method: str
    target: str
    authorization: str | None


class ConnectProxy:
    """A CONNECT proxy on a loopback port.

    Parameters:
        route: maps a host and port to an address, or to None for a 403.
        credentials: `user:password` that clients must send (Basic), or None.
    """

    def __init__(self, route: Router, credentials: str | None = None) -> None:
        self._route = route
        self._server: asyncio.Server | None = None
        self._tunnels: dict[int, _Tunnel] = {}
        self._handlers: set[asyncio.Task[None]] = set()
        self._faults_left: int | None = None
        self._fault: Fault | None = None
        # Not reset with the rest: tunnels outlive a reset and keep their ids.
        self._connect_count = 0
        self.credentials = credentials
        self.connects: list[Connect] = []

    @property
    def port(self) -> int:
        if self._server is None:
            raise RuntimeError("the proxy is not started")
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def open_tunnels(self) -> int:
        return len(self._tunnels)

    async def start(self, port: int = 0) -> None:
        """Listen on a loopback port (0: any free one)."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port, backlog=1024)

    async def close(self) -> None:
        """Stop listening and cut every tunnel."""
        if self._server is not None:
            self._server.close()
        for handler in list(self._handlers):
            handler.cancel()
        self.cut_all()
        await asyncio.gather(*self._handlers, return_exceptions=True)

    def set_fault(self, fault: Fault | None, times: int | None = None) -> None:
        """Apply a fault to the next CONNECTs; open tunnels are not affected.

        Parameters:
            fault: `refuse` replies 502, `407` requires credentials, `cut` closes without a reply,
                `hang` never replies; None ends the fault.
            times: how many CONNECTs it applies to; None for all.
        """
        self._fault, self._faults_left = fault, times

    def reset(self) -> None:
        """End the fault and clear the list of CONNECTs."""
        self.set_fault(None)
        self.connects = []

    def tunnel_id(self, upstream_port: int) -> int | None:
        """The id of the tunnel whose connection to the server has this local port."""
        tunnel = self._tunnels.get(upstream_port)
        return tunnel.id if tunnel else None

    def cut(self, upstream_port: int) -> bool:
        """Abort one tunnel, without a clean close on either side; returns whether it existed."""
        tunnel = self._tunnels.get(upstream_port)
        if tunnel is not None:
            tunnel.abort()
        return tunnel is not None

    def cut_all(self) -> int:
        """Abort every tunnel; returns how many there were."""
        tunnels = list(self._tunnels.values())
        for tunnel in tunnels:
            tunnel.abort()
        return len(tunnels)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            writer.transport.abort()
        except asyncio.CancelledError:
            # Only close() cancels; asyncio's streams would report a cancelled handler.
            writer.transport.abort()
        finally:
            self._handlers.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_HEAD_TIMEOUT_SECONDS):
            head = _parse_head(await reader.readuntil(b"\r\n\r\n"))
        host, _, port = head.target.rpartition(":")
        if head.method != "CONNECT" or not port.isdigit():
            await _respond(writer, 405, "Method Not Allowed")
            return
        connect = self._log(host.strip("[]").lower(), int(port))
        fault = self._take_fault()
        if fault is not None:
            await self._misbehave(fault, connect, reader, writer)
        elif not self._authorized(head):
            await self._require_credentials(connect, writer)
        else:
            await self._open(connect, reader, writer)

    def _log(self, host: str, port: int) -> Connect:
        self._connect_count += 1
        connect: Connect = {
            "id": self._connect_count,
            "host": host,
            "port": port,
            "at": time.time(),
            "outcome": "asked",
        }
        self.connects.append(connect)
        return connect

    def _take_fault(self) -> Fault | None:
        if self._fault is None or self._faults_left == 0:
            return None
        if self._faults_left is not None:
            self._faults_left -= 1
        return self._fault

    async def _misbehave(
        self,
        fault: Fault,
        connect: Connect,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        connect["outcome"] = fault
        if fault == "refuse":
            await _respond(writer, 502, "Bad Gateway")
        elif fault == "407":
            await self._require_credentials(connect, writer)
        elif fault == "cut":
            writer.transport.abort()
        else:
            await reader.read()
            writer.transport.abort()

    def _authorized(self, head: _Head) -> bool:
        if self.credentials is None:
            return True
        expected = "Basic " + base64.b64encode(self.credentials.encode()).decode()
        return hmac.compare_digest((head.authorization or "").encode(), expected.encode())

    async def _require_credentials(self, connect: Connect, writer: asyncio.StreamWriter) -> None:
        connect["outcome"] = "407"
        challenge = 'Proxy-Authenticate: Basic realm="fake Instagram"\r\n'
        await _respond(writer, 407, "Proxy Authentication Required", challenge)

    async def _open(
        self, connect: Connect, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        address = self._route(connect["host"], connect["port"])
        if address is None:
            connect["outcome"] = "forbidden"
            await _respond(writer, 403, "Forbidden")
            return
        upstream_reader, upstream = await asyncio.open_connection(*address)
        tunnel = _Tunnel(connect["id"], writer, upstream)
        upstream_port = upstream.get_extra_info("sockname")[1]
        self._tunnels[upstream_port] = tunnel
        connect["outcome"] = "open"
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _relay(reader, writer, upstream_reader, upstream)
        finally:
            del self._tunnels[upstream_port]
            connect["outcome"] = "closed"


async def _relay(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    upstream_reader: asyncio.StreamReader,
    upstream: asyncio.StreamWriter,
) -> None:
    """Copy bytes both ways until either side ends; HTTP needs no half-closed connections."""
    pumps = {
        asyncio.ensure_future(_copy(reader, upstream)),
        asyncio.ensure_future(_copy(upstream_reader, writer)),
    }
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        await _close(writer)
        await _close(upstream)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def _respond(
    writer: asyncio.StreamWriter, status: int, reason: str, header: str = ""
) -> None:
    head = f"HTTP/1.1 {status} {reason}\r\n{header}Content-Length: 0\r\nConnection: close\r\n\r\n"
    writer.write(head.encode())
    await _close(writer)


def _parse_head(raw: bytes) -> _Head:
    request_line, *lines = raw.decode("latin-1").split("\r\n")
    method, _, rest = request_line.partition(" ")
    fields = {
        name.strip().lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)
    }
    return _Head(method, rest.partition(" ")[0], fields.get("proxy-authorization"))
