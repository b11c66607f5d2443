"""A CONNECT proxy that leads chosen host names to one local server, and can misbehave on request.

It is also the fake Instagram's knife: a tunnel is cut here, so that a client sees what it would see
of a real proxy or a real network, whatever protocol runs inside.
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
#: From the host and port a client asks for to the address it gets; None refuses it.
Router = Callable[[str, int], Address | None]

_CHUNK = 64 * 1024
_HEAD_TIMEOUT_SECONDS = 30


class Connect(TypedDict):
    """One CONNECT the proxy was asked for, and what became of it."""

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
        route: says where a host and port lead, or None to refuse them with 403.
        credentials: `user:password` that clients must present (Basic), or None.
    """

    def __init__(self, route: Router, credentials: str | None = None) -> None:
        self._route = route
        self._server: asyncio.Server | None = None
        self._tunnels: dict[int, _Tunnel] = {}
        self._handlers: set[asyncio.Task[None]] = set()
        self._faults_left: int | None = None
        self._fault: Fault | None = None
        # Never starts over: tunnels outlive a reset, and their ids must stay theirs.
        self._asked = 0
        self.credentials = credentials
        self.connects: list[Connect] = []

    @property
    def port(self) -> int:
        """The port it listens on."""
        if self._server is None:
            raise RuntimeError("the proxy is not started")
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def open_tunnels(self) -> int:
        """How many tunnels carry traffic now."""
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
        """Misbehave on the next CONNECTs.

        Parameters:
            fault: `refuse` answers 502, `407` asks for credentials, `cut` closes without an answer,
                `hang` never answers; None behaves again.
            times: on how many CONNECTs; None means on every one.
        """
        self._fault, self._faults_left = fault, times

    def reset(self) -> None:
        """Behave again and forget the CONNECTs seen so far."""
        self.set_fault(None)
        self.connects = []

    def tunnel_id(self, upstream_port: int) -> int | None:
        """The tunnel whose local end towards the server is this port."""
        tunnel = self._tunnels.get(upstream_port)
        return tunnel.id if tunnel else None

    def cut(self, upstream_port: int) -> bool:
        """Cut one tunnel at once, without a goodbye to either side."""
        tunnel = self._tunnels.get(upstream_port)
        if tunnel is not None:
            tunnel.abort()
        return tunnel is not None

    def cut_all(self) -> int:
        """Cut every tunnel; returns how many there were."""
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
            # Only close() cancels; a cancelled handler would be reported by asyncio's streams.
            writer.transport.abort()
        finally:
            self._handlers.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_HEAD_TIMEOUT_SECONDS):
            head = _parse_head(await reader.readuntil(b"\r\n\r\n"))
        host, _, port = head.target.rpartition(":")
        if head.method != "CONNECT" or not port.isdigit():
            await _answer(writer, 405, "Method Not Allowed")
            return
        connect = self._log(host.strip("[]").lower(), int(port))
        fault = self._take_fault()
        if fault is not None:
            await self._misbehave(fault, connect, reader, writer)
        elif not self._authorized(head):
            await self._ask_for_credentials(connect, writer)
        else:
            await self._open(connect, reader, writer)

    def _log(self, host: str, port: int) -> Connect:
        self._asked += 1
        connect: Connect = {
            "id": self._asked,
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
            await _answer(writer, 502, "Bad Gateway")
        elif fault == "407":
            await self._ask_for_credentials(connect, writer)
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

    async def _ask_for_credentials(self, connect: Connect, writer: asyncio.StreamWriter) -> None:
        connect["outcome"] = "407"
        challenge = 'Proxy-Authenticate: Basic realm="fake Instagram"\r\n'
        await _answer(writer, 407, "Proxy Authentication Required", challenge)

    async def _open(
        self, connect: Connect, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        address = self._route(connect["host"], connect["port"])
        if address is None:
            connect["outcome"] = "forbidden"
            await _answer(writer, 403, "Forbidden")
            return
        upstream_reader, upstream = await asyncio.open_connection(*address)
        tunnel = _Tunnel(connect["id"], writer, upstream)
        upstream_port = upstream.get_extra_info("sockname")[1]
        self._tunnels[upstream_port] = tunnel
        connect["outcome"] = "open"
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _carry_both_ways(reader, writer, upstream_reader, upstream)
        finally:
            del self._tunnels[upstream_port]
            connect["outcome"] = "closed"


async def _carry_both_ways(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    upstream_reader: asyncio.StreamReader,
    upstream: asyncio.StreamWriter,
) -> None:
    """Carry bytes until either side ends; HTTP never needs the other half of such a connection."""
    pumps = {
        asyncio.ensure_future(_pump(reader, upstream)),
        asyncio.ensure_future(_pump(upstream_reader, writer)),
    }
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        await _close(writer)
        await _close(upstream)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def _answer(writer: asyncio.StreamWriter, status: int, reason: str, header: str = "") -> None:
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
