"""The fake Instagram's process: an HTTP/2 server over TLS 1.3, a CONNECT proxy, a control port."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import ssl
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from hypercorn.asyncio import serve
from hypercorn.config import Config

from deploy.local.certificates import CertificateFiles, issue
from deploy.local.instagram.app import InstagramApp, Simulation
from deploy.local.instagram.control import ControlApp
from deploy.local.instagram.http import Receive, Scope, Send
from deploy.local.instagram.state import Options
from deploy.local.proxy import Address, ConnectProxy

_DOMAINS = ("instagram.com", "facebook.com")
# A wildcard matches one label only, and the client logs in at b.i.instagram.com.
_CERTIFICATE_NAMES = (
    "instagram.com",
    "*.instagram.com",
    "*.i.instagram.com",
    "facebook.com",
    "*.facebook.com",
)
_HTTPS_PORT = 443
_BACKLOG = 2048


@dataclass(frozen=True)
class Settings:
    """How to run the server.

    Parameters:
        directory: where to write `ca.pem`.
        proxy_port, control_port: loopback ports; 0 for any free one.
        proxy_credentials: `user:password` that the proxy requires, or None.
        end_with_parent: stop at the end of standard input, so that no run outlives its parent.
    """

    directory: Path
    options: Options
    proxy_port: int = 0
    control_port: int = 0
    proxy_credentials: str | None = None
    end_with_parent: bool = False


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; prints one JSON line when ready."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.get_loop().set_exception_handler(_report_unexpected_errors)
        runner.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    files = issue(settings.directory, _CERTIFICATE_NAMES)
    tls, control = _listen(0), _listen(settings.control_port)
    tls_address: Address = tls.getsockname()
    control_address: Address = control.getsockname()
    proxy = ConnectProxy(
        lambda host, port: tls_address if _is_instagram(host, port) else None,
        settings.proxy_credentials,
    )
    simulation = Simulation(settings.options)
    # Hypercorn has a type for each ASGI message; here they are plain mappings.
    app: Any = _HostRouter(InstagramApp(simulation, proxy), ControlApp(simulation, proxy))
    await proxy.start(settings.proxy_port)
    stop = _stop_event(settings)

    async def until_stopped() -> None:
        await stop.wait()
        await proxy.close()

    ready = {
        "proxy": f"http://127.0.0.1:{proxy.port}",
        "control": f"http://127.0.0.1:{control_address[1]}",
        "ca": str(files.ca),
    }
    print(json.dumps(ready), flush=True)
    await serve(app, _hypercorn(files, tls, control), shutdown_trigger=until_stopped)


def _is_instagram(host: str, port: int) -> bool:
    known = any(host == domain or host.endswith(f".{domain}") for domain in _DOMAINS)
    return known and port == _HTTPS_PORT


def _listen(port: int) -> socket.socket:
    return socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)


class _HostRouter:
    """Routes TLS requests to Instagram and plain ones to the control interface."""

    def __init__(self, instagram: InstagramApp, control: ControlApp) -> None:
        self._instagram = instagram
        self._control = control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            app = self._instagram if scope["scheme"] == "https" else self._control
            await app(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    for _ in ("startup", "shutdown"):
        message = await receive()
        await send({"type": f"{message['type']}.complete"})


class _TlsConfig(Config):
    def create_ssl_context(self) -> ssl.SSLContext | None:
        context: ssl.SSLContext | None = super().create_ssl_context()
        if context is not None:
            context.minimum_version = ssl.TLSVersion.TLSv1_3
        return context


def _hypercorn(files: CertificateFiles, tls: socket.socket, control: socket.socket) -> Config:
    config = _TlsConfig()
    config.certfile, config.keyfile = str(files.leaf), str(files.key)
    # Hypercorn takes over the descriptors and closes them.
    config.bind = [f"fd://{tls.detach()}"]
    config.insecure_bind = [f"fd://{control.detach()}"]
    config.backlog = _BACKLOG
    config.loglevel = "WARNING"
    config.include_date_header = False  # set from the fake Instagram's clock
    config.keep_alive_timeout = 600
    config.keep_alive_max_requests = sys.maxsize
    config.h2_max_inbound_frame_size = 2**14
    config.graceful_timeout = 0.5
    return config


def _stop_event(settings: Settings) -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if settings.end_with_parent:
        loop.add_reader(sys.stdin.fileno(), _stop_on_eof, stop)
    return stop


def _stop_on_eof(stop: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stop.set()


def _report_unexpected_errors(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report errors, except those of disconnects, cut tunnels and unfinished handshakes."""
    if not isinstance(context.get("exception"), OSError | EOFError | asyncio.CancelledError):
        loop.default_exception_handler(context)
