"""Headers of every response, whoever writes it: routes, middleware, uvicorn or a refusal.

Browsers should neither interpret, frame, remember nor pass on what an API answers
(https://cheatsheetseries.owasp.org/cheatsheets/REST_Security_Cheat_Sheet.html#security-headers). A
response's own Cache-Control or Content-Security-Policy stays. Strict-Transport-Security is left to
what ends TLS: browsers ignore it in plain HTTP (RFC 6797, section 8.1), and it is about the host.

uvicorn checks each header that it is given with two regular expressions, 1.7 us for these four. So
they are put into the bytes of the response's head, which takes 0.9 us.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

_CONTINUE: Final = b"HTTP/1.1 100 "
_FIXED: Final = b"x-content-type-options: nosniff\r\nreferrer-policy: no-referrer\r\n"
_CACHE_CONTROL: Final = b"cache-control: no-store\r\n"
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
    """

    __slots__ = ("_transport", "_writer")

    def __init__(self, writer: Writer, transport: asyncio.Transport) -> None:
        self._writer = writer
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write the head of a response, or `100 Continue` before it."""
        if data.startswith(_CONTINUE):
            self._transport.write(data)
        else:
            self._writer.transport = self._transport
            self._transport.write(with_headers(data))


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
