"""The protocols under the application: uvicorn's, with an end to a request's head.

Both let the application cut a connection: closing one waits for what its reader does not take.
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

#: More than any router or provider sends; a signature header alone is refused over 8 KB.
MAX_HEAD_BYTES: Final = 64 * 1024

_ABORT: Final = "heliograph.cut"


def abort_callback(scope: Scope) -> Callable[[], None]:
    """What cuts the connection of a request at once; nothing where the server has no such thing.

    Parameters:
      scope: The request's.
    """
    extension: dict[str, Callable[[], None]] = (scope.get("extensions") or {}).get(_ABORT, {})
    return extension.get("cut", lambda: None)


class HeaderLimitProtocol(HttpToolsProtocol):
    """Refuses a head that does not end.

    uvicorn and its parser keep all of it, so that a sender without any credentials could fill the
    memory with one header.
    """

    _in_head = False
    _head_bytes = 0

    def on_message_begin(self) -> None:
        """A request begins."""
        self._in_head = True
        super().on_message_begin()
        self.scope["extensions"] = {_ABORT: {"cut": self.transport.abort}}

    def on_headers_complete(self) -> None:
        """Its head is whole."""
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Parse; count what belongs to nothing but the head."""
        was_in_head = self._in_head
        super().data_received(data)
        self._head_bytes = self._head_bytes + len(data) if was_in_head and self._in_head else 0
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            message = f"The request's headers are larger than {MAX_HEAD_BYTES} bytes."
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large", message)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, in the shape of every error."""
        self._refuse(HTTPStatus.BAD_REQUEST, "bad_request", msg)

    def _refuse(self, status: HTTPStatus, code: str, message: str) -> None:
        body = json.dumps({"error": {"code": code, "message": message}}).encode()
        head = (
            f"HTTP/1.1 {status} {status.phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


class QuietWebSocketProtocol(WSProtocol):
    """Says nothing in the log of who comes and goes, as for any other request."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = logging.getLogger("uvicorn.sockets")

    async def run_asgi(self) -> None:
        """Serve, with a way to cut the connection."""
        extensions: dict[str, Any] = {**(self.scope["extensions"] or {})}
        self.scope["extensions"] = {**extensions, _ABORT: {"cut": self.transport.abort}}
        await super().run_asgi()
