"""Reading a request's raw bytes off the wire, within bounds of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from service.http.shared_timeout import SharedTimeout


class BodyRejected(Exception):
    """The body is not read.

    Parameters:
      status: The HTTP status to answer.
      code: A stable word for programs.
      message: A sentence for people.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


async def read_body(scope: Scope, receive: Receive, limit: int, patience: SharedTimeout) -> bytes:
    """Read the body, counting while it streams.

    Parameters:
      scope: The request's; nothing of its body was read yet.
      receive: Where it comes from.
      limit: The most bytes to take.
      patience: How long the sender may take.

    Returns:
      The raw bytes, as the sender signed them.

    Raises:
      BodyRefused: It is too large, too slow or encoded.
      starlette.requests.ClientDisconnect: The sender went away.
    """
    check_encoding(scope)
    if declares_more(scope, limit):
        raise _body_too_large(limit)
    try:
        return await patience.run(_collect(receive, limit))
    except TimeoutError:
        raise _body_timeout(patience.seconds) from None


def check_encoding(scope: Scope) -> None:
    """Refuse a body that would have to be unpacked.

    Parameters:
      scope: The request's.

    Raises:
      BodyRefused: It is encoded.
    """
    encoding = _header(scope, b"content-encoding").strip().lower()
    if encoding not in (b"", b"identity"):
        raise BodyRejected(415, "unsupported_encoding", "Send the body without a Content-Encoding.")


def declares_more(scope: Scope, limit: int) -> bool:
    """Whether the request says of itself that its body is larger than that.

    Parameters:
      scope: The request's.
      limit: In bytes.
    """
    declared = _header(scope, b"content-length")
    return declared.isdigit() and int(declared[:20]) > limit


@asynccontextmanager
async def in_time(seconds: float) -> AsyncIterator[None]:
    """Bound the reading of a body.

    Parameters:
      seconds: How long the sender may take.

    Raises:
      BodyRefused: The time is over.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise _body_timeout(seconds) from None


async def _collect(receive: Receive, limit: int) -> bytes:
    # One buffer: a list would cost a sender of single bytes nothing and us dozens of times as much.
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        if len(body) + len(chunk) > limit:
            raise _body_too_large(limit)
        body += chunk
        if not message.get("more_body", False):
            return bytes(body)


def _header(scope: Scope, wanted: bytes) -> bytes:
    """The first header of that name; empty where there is none."""
    found: bytes = next((value for name, value in scope["headers"] if name == wanted), b"")
    return found


def _body_timeout(seconds: float) -> BodyRejected:
    return BodyRejected(408, "slow_body", f"The body did not arrive within {seconds:g} seconds.")


def _body_too_large(limit: int) -> BodyRejected:
    return BodyRejected(413, "body_too_large", f"The body is larger than {limit} bytes.")
