"""uvicorn's protocols, with a limit on the size of a request's headers.

Both let the application abort a connection, because closing one waits until the peer has read all
that was sent.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

#: More than any proxy or provider sends; a signature header alone is rejected above 8 KB.
MAX_HEAD_BYTES: Final = 64 * 1024

_ABORT: Final = "heliograph.abort"


def abort_callback(scope: Scope) -> Callable[[], None]:
    """Return a function that aborts the request's connection; it does nothing on other servers."""
    extension: dict[str, Callable[[], None]] = (scope.get("extensions") or {}).get(_ABORT, {})
    return extension.get("abort", lambda: None)


class HeaderLimitProtocol(HttpToolsProtocol):
    """Rejects a request whose headers are too large.

    uvicorn and its parser keep all headers in memory, so a sender without credentials could exhaust
    it with one endless header.
    """

    _in_head = False
    _head_bytes = 0

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()
        self.scope["extensions"] = {_ABORT: {"abort": self.transport.abort}}

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Parse, and count the bytes that belong to the headers only."""
        was_in_head = self._in_head
        super().data_received(data)
        self._head_bytes = self._head_bytes + len(data) if was_in_head and self._in_head else 0
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            message = f"The request's headers are larger than {MAX_HEAD_BYTES} bytes."
            self._reject(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large", message)

    def send_400_response(self, msg: str) -> None:
        """Reject malformed HTTP with an error body like any other."""
        self._reject(HTTPStatus.BAD_REQUEST, "bad_request", msg)

    def _reject(self, status: HTTPStatus, code: str, message: str) -> None:
        body = json.dumps({"error": {"code": code, "message": message}}).encode()
        head = (
            f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


class QuietWebSocketProtocol(WSProtocol):
    """Does not log connections, as no other request is logged by the server."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = logging.getLogger("uvicorn.sockets")

    async def run_asgi(self) -> None:
        extensions: dict[str, Any] = {**(self.scope["extensions"] or {})}
        self.scope["extensions"] = {**extensions, _ABORT: {"abort": self.transport.abort}}
        await super().run_asgi()
