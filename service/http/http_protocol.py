"""uvicorn's HTTP protocol, with limits on what a connection may send and how long it may take.

uvicorn and its parser limit neither: they keep all headers in memory, also those after a chunked
body (trailers), queue every pipelined request, discard bodies that nobody reads without an end, and
wait for a head as long as it takes.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.http.connection_abort import abort_extension
from service.http.connections import Phase, connections_of
from service.http.framing import FramingCounter
from service.http.request_heads import (
    MALFORMED,
    MAX_HEADERS,
    TOO_LARGE,
    TOO_SLOW,
    Refusal,
    check_head,
    has_body,
)
from service.http.response_headers import HeadWriter, with_headers

#: Requests of one connection that may wait for the response before them.
MAX_PIPELINED: Final = 16
#: An upload that is refused may go on for so long that its sender finishes and reads why.
MAX_UNREAD_BYTES: Final = 16 * 1024 * 1024
MAX_LINGERING_BYTES: Final = 256 * 1024
#: What the objects of one header take besides its bytes.
HEADER_MEMORY_BYTES: Final = 200

_UPGRADE_WITH_BODY: Final = MALFORMED._replace(
    message="Send no Upgrade header with a body: this server speaks HTTP/1.1 and WebSocket."
)
_TOO_MANY_PIPELINED: Final = MALFORMED._replace(
    message="Too many requests at once on one connection: wait for responses."
)
_FRAMING_TOO_LARGE: Final = MALFORMED._replace(
    message="Chunk extensions or trailers are too large: send the chunks alone."
)
#: Reasons for which a connection is closed when its time in a phase is over.
_EXPIRED: Final = {
    Phase.UNREAD: "unread_body",
    Phase.UNSENT: "unread_response",
    Phase.CLOSING: "unread_response",
    Phase.LINGERING: "refused_request",
}


class _Refused(Exception):
    """Raised in a callback of the parser: it stops, and the request goes no further."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """Limits heads, trailers, unread bodies, pipelined requests, and the time for all of them."""

    phase: Phase | None = None
    held = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connections = connections_of(self.app_state)
        self._refusal: Refusal | None = None
        self._refused = False
        self._in_head = False
        # Of the head, or of the trailers.
        self._header_count = 0
        # Whether the latest request has arrived as a whole.
        self._complete = True
        self._framing = FramingCounter()
        self._discarded_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._extensions = abort_extension(transport)
        self._connections.add(self)
        self._update_phase()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, and count what is not body data."""
        if self._refused:
            self._discard(len(data), MAX_LINGERING_BYTES)
            return
        self._unset_keepalive_if_required()
        self._framing.start_packet()
        headers_before = self._header_count
        try:
            self._parse(data)
        except httptools.HttpParserError:
            self._refuse(self._refusal or MALFORMED)
        else:
            self._count(len(data))
        self._update_phase()
        if self.phase in (Phase.HEAD, Phase.BODY):
            headers = max(0, self._header_count - headers_before)
            self._connections.hold(self, len(data) + headers * HEADER_MEMORY_BYTES)

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            self._stop(_TOO_MANY_PIPELINED)
        self._in_head = True
        self._header_count = 0
        super().on_message_begin()
        self.scope["extensions"] = self._extensions

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; drop a trailer, which nothing here reads."""
        self._header_count += 1
        if self._header_count > MAX_HEADERS:
            self._stop(TOO_LARGE if self._in_head else _FRAMING_TOO_LARGE)
        if self._in_head:
            # Not `super()`, which takes as long as the call itself.
            HttpToolsProtocol.on_header(self, name, value)

    def on_headers_complete(self) -> None:
        refusal = check_head(self.parser.get_http_version(), self.url, self.headers)
        if refusal is None and self.parser.should_upgrade() and has_body(self.headers):
            # The parser takes what follows for another protocol.
            refusal = _UPGRADE_WITH_BODY
        if refusal is not None:
            self._stop(refusal)
        super().on_headers_complete()
        if self.cycle is not None and not self.cycle.response_started:
            # uvicorn writes no body after the head of a response to HEAD.
            joins = self.cycle.scope["method"] != "HEAD"
            writer = HeadWriter(self.cycle, self.transport, joins_body=joins)
            self.cycle.transport = writer  # type: ignore[assignment]
        self._in_head = self._complete = False
        self._header_count = 0
        self._discarded_bytes = 0
        self._framing.start_part()

    def on_body(self, body: bytes) -> None:
        self._framing.add_body(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._complete = True
        self._framing.start_part()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._update_phase()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._update_phase()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._update_phase()

    def handle_websocket_upgrade(self) -> None:
        self._connections.remove(self)
        super().handle_websocket_upgrade()

    def expire(self) -> str:
        """Close the connection, whose time in its phase is over; return the reason to count."""
        if self.phase is not Phase.HEAD:
            reason = _EXPIRED[self.phase] if self.phase else ""
            self.abort()
            return reason
        if self._in_head or self._framing.has_strays:
            self._refuse(TOO_SLOW)
            self._update_phase()
            return TOO_SLOW.code
        self.abort()
        return "silent"

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                if self._should_upgrade():
                    self.handle_websocket_upgrade()
                    return
                # Ignored, as a server may (RFC 9110, section 7.8).
                data = data[upgrade.args[0] :]

    def _stop(self, refusal: Refusal) -> None:
        self._refusal = refusal
        raise _Refused

    def _count(self, size: int) -> None:
        if self._is_unread():
            self._discard(size, MAX_UNREAD_BYTES)
        if self._framing.end_packet(size):
            self._refuse(TOO_LARGE if self._complete or self._in_head else _FRAMING_TOO_LARGE)

    def _discard(self, size: int, limit: int) -> None:
        self._discarded_bytes += size
        if self._is_responding():
            self.flow.pause_reading()
        elif self._discarded_bytes > limit:
            self.abort()

    def _is_responding(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _is_unread(self) -> bool:
        return not self._complete and self.cycle.response_complete

    def _update_phase(self) -> None:
        phase = self._current_phase()
        if phase is not self.phase:
            self._connections.move(self, phase)

    def _current_phase(self) -> Phase | None:
        if self.flow.write_paused:
            return Phase.UNSENT
        if self.transport.is_closing():
            return Phase.CLOSING
        if self._is_responding():
            return None if self._complete else Phase.BODY
        return self._phase_between_responses()

    def _phase_between_responses(self) -> Phase:
        if self._refused:
            return Phase.LINGERING
        if not self._complete:
            return Phase.UNREAD
        if self.cycle is None or self._in_head or self._framing.has_strays:
            return Phase.HEAD
        return Phase.IDLE

    def _refuse(self, refusal: Refusal) -> None:
        """Refuse what arrived, after the responses to what arrived before it."""
        self._refused, self._discarded_bytes = True, 0
        self._connections.count("request_refused", refusal.code)
        if self.transport.is_closing():
            return
        if not self._is_responding():
            self._send(refusal)
        elif self._complete:
            self.cycle.keep_alive = False
        elif self.pipeline or self.cycle.response_started:
            self.transport.close()
        else:
            self.cycle.disconnected = True
            self.cycle.response_complete = True
            self.cycle.message_event.set()
            self._send(refusal)

    def _send(self, refusal: Refusal) -> None:
        """Send an error body like any other, and end the stream; the peer closes the connection.

        Closing it here would reset it if more bytes are on their way, and the peer might never see
        the response.
        """
        error = {"code": refusal.code, "message": refusal.message}
        body = json.dumps({"error": error}).encode()
        head = (
            f"HTTP/1.1 {refusal.status} {refusal.status.phrase}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        self.transport.write(with_headers(head.encode() + body))
        self.transport.write_eof()
