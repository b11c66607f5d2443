"""Headers of every response, whoever writes it: routes, middleware, uvicorn or a refusal.

Browsers should neither interpret, frame, remember nor pass on what an API answers
(https://cheatsheetseries.owasp.org/cheatsheets/REST_Security_Cheat_Sheet.html#security-headers). A
response's own Cache-Control or Content-Security-Policy stays. Strict-Transport-Security is left to
what ends TLS: browsers ignore it in plain HTTP (RFC 6797, section 8.1), and it is about the host.

uvicorn checks each header that it is given with two regular expressions, 1.7 us for these four. So
they are put into the bytes of the response's head, which takes 0.9 us. It also writes head and body
one after the other, and each write is a packet that wakes the peer: 30 us of a webhook's 400.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

_CONTINUE: Final = b"HTTP/1.1 100 "
_FIXED: Final = b"x-content-type-options: nosniff\r\nreferrer-policy: no-referrer\r\n"
_CACHE_CONTROL: Final = b"cache-control: no-store\r\n"
_CONTENT_LENGTH: Final = b"\ncontent-length: "
_CONTENT_POLICY: Final = b"content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n"
#: What ends the status line, and follows it.
_ALL: Final = b"\r\n" + _FIXED + _CACHE_CONTROL + _CONTENT_POLICY


class Writer(Protocol):
    """What writes responses to a connection's transport.

    Parameters:
      transport: The transport, or a `HeadWriter` until the response has begun.
    """

    transport: Any


class HeadWriter:
    """A transport that adds the headers to the first response that is written.

    Then it takes itself out of the way.

    Parameters:
      writer: Whatever writes the response's head in one piece.
      transport: The connection's transport.
      joins_body: Whether the head of a response with a Content-Length goes out with the first piece
        of its body, which the writer then writes in any case, even if it is empty. A head without
        one is that of a stream, whose reader must see it before there is anything to send.
    """

    __slots__ = ("_head", "_joins_body", "_transport", "_writer")

    def __init__(
        self, writer: Writer, transport: asyncio.Transport, *, joins_body: bool = False
    ) -> None:
        self._writer = writer
        self._transport = transport
        self._joins_body = joins_body
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write the head of a response, or `100 Continue` before it, or what follows the head."""
        if self._head:
            self._write_last(self._head + data)
        elif data.startswith(_CONTINUE):
            self._transport.write(data)
        elif self._joins_body and _CONTENT_LENGTH in data:
            self._head = with_headers(data)
        else:
            self._write_last(with_headers(data))

    def _write_last(self, data: bytes) -> None:
        self._writer.transport = self._transport
        self._transport.write(data)


def with_headers(response: bytes) -> bytes:
    """Return a response with the headers.

    Parameters:
      response: Its head, with names in lower case, or all of a response without headers of these
        names.
    """
    added = _ALL
    if b"\ncache-control:" in response:
        added = added.replace(_CACHE_CONTROL, b"")
    if b"\ncontent-security-policy:" in response:
        added = added.replace(_CONTENT_POLICY, b"")
    return response.replace(b"\r\n", added, 1)
