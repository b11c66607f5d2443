"""Reads a request's raw body within limits of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from service.http.shared_timeout import SharedTimeout


class BodyRejected(Exception):
    """The body breaks a limit and is not read any further.

    Parameters:
      status: The HTTP status to respond with.
      code: A stable code for programs.
      message: What is wrong and what to do.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


async def read_body(scope: Scope, receive: Receive, limit: int, timeout: SharedTimeout) -> bytes:
    """Read the whole body.

    Parameters:
      scope: The ASGI scope; nothing of the body has been read yet.
      receive: The ASGI receive callable.
      limit: Maximum size in bytes.
      timeout: How long the sender may take.

    Returns:
      The raw bytes, as the sender signed them.

    Raises:
      BodyRejected: The body is too large, too slow or encoded.
      starlette.requests.ClientDisconnect: The sender disconnected.
    """
    check_encoding(scope)
    if declared_too_large(scope, limit):
        raise _too_large(limit)
    try:
        return await timeout.run(_read_chunks(receive, limit))
    except TimeoutError:
        raise _too_slow(timeout.seconds) from None


def check_encoding(scope: Scope) -> None:
    """Raise BodyRejected if the body has a Content-Encoding other than identity."""
    encoding = _header(scope, b"content-encoding").strip().lower()
    if encoding not in (b"", b"identity"):
        raise BodyRejected(415, "unsupported_encoding", "Send the body without a Content-Encoding.")


def declared_too_large(scope: Scope, limit: int) -> bool:
    """Whether the Content-Length exceeds the limit.

    Parameters:
      scope: The ASGI scope.
      limit: In bytes.
    """
    declared = _header(scope, b"content-length")
    return declared.isdigit() and int(declared[:20]) > limit


@asynccontextmanager
async def time_limit(seconds: float) -> AsyncIterator[None]:
    """Limit the time spent in the block; raise BodyRejected (408) when it is exceeded.

    Parameters:
      seconds: How long the sender may take.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise _too_slow(seconds) from None


async def _read_chunks(receive: Receive, limit: int) -> bytes:
    # One buffer, not a list of chunks: a list of single bytes takes dozens of times the memory.
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        if len(body) + len(chunk) > limit:
            raise _too_large(limit)
        body += chunk
        if not message.get("more_body", False):
            return bytes(body)


def _header(scope: Scope, name: bytes) -> bytes:
    """Return the first header of that name; empty if there is none."""
    value: bytes = next((value for key, value in scope["headers"] if key == name), b"")
    return value


def _too_slow(seconds: float) -> BodyRejected:
    return BodyRejected(408, "slow_body", f"The body did not arrive within {seconds:g} seconds.")


def _too_large(limit: int) -> BodyRejected:
    return BodyRejected(413, "body_too_large", f"The body is larger than {limit} bytes.")
