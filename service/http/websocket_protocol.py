"""uvicorn's WebSocket protocol, with limits on what a connection makes the process keep."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from service.http.connection_abort import abort_extension
from service.http.connections import Phase, connections_of
from service.http.request_heads import MAX_HEAD_BYTES
from service.http.response_headers import HeadWriter


class BoundedWebSocketProtocol(WSProtocol):
    """Limits what the parser and the transport keep, and logs no connections, as HTTP does not."""

    phase: Phase | None = None
    held = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = logging.getLogger("uvicorn.sockets")
        self._connections = connections_of(self.app_state)
        self._early_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport: Any = HeadWriter(self, transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Handle frames; the parser keeps those that come before the handshake is over."""
        if not self.handshake_complete:
            self._early_bytes += len(data)
        if self._early_bytes > 2 * MAX_HEAD_BYTES:
            self.abort()
        else:
            super().data_received(data)

    def pause_writing(self) -> None:
        """Read nothing from a peer that reads nothing: every ping would be answered."""
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    async def run_asgi(self) -> None:
        extensions: dict[str, Any] = {**(self.scope["extensions"] or {})}
        self.scope["extensions"] = {**extensions, **abort_extension(self.transport)}
        await super().run_asgi()

    def expire(self) -> str:
        """Close the connection; pings limit its silence, since a WebSocket has no phase."""
        self.abort()
        return "silent"

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()
