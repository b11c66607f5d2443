"""Limits the size and duration of API request bodies.

Webhooks (`api/webhooks.py`) and photo uploads (`api/photo_uploads.py`) read their own bodies.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.errors import EarlyErrorResponse
from service.http.request_body import BodyRejected, read_body
from service.http.request_heads import has_body
from service.http.shared_timeout import SharedTimeout

MAX_API_BODY: Final = 256 * 1024

#: The paths of the webhooks' routes.
_WEBHOOK: Final = re.compile(r"/webhooks/[^/]+/?")


class BodyLimitMiddleware:
    """Rejects a body that is too large, too slow or encoded, before any route runs.

    That of any method and path: what no route reads would go on without an end.

    Parameters:
      app: The wrapped application.
      seconds: How long the sender may take.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._timeout = SharedTimeout(seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the whole body, then run the application on it."""
        if not _is_limited(scope):
            await self._app(scope, receive, send)
            return
        try:
            body = await read_body(scope, receive, MAX_API_BODY, self._timeout)
        except BodyRejected as rejected:
            response = EarlyErrorResponse(
                rejected.status, rejected.code, rejected.message, self._timeout.seconds
            )
            await response(scope, receive, send)
        except ClientDisconnect:
            return  # the request is incomplete
        else:
            await self._app(scope, _replay(body, receive), send)


def _is_limited(scope: Scope) -> bool:
    return scope["type"] == "http" and has_body(scope["headers"]) and not _reads_its_own_body(scope)


def _reads_its_own_body(scope: Scope) -> bool:
    if scope["method"] != "POST":
        return False
    path: str = scope["path"]
    return bool(_WEBHOOK.fullmatch(path)) or (path == "/jobs" and is_form(scope))


def is_form(scope: Scope) -> bool:
    """Whether the request's Content-Type is multipart/form-data."""
    return any(
        name == b"content-type" and value.lower().startswith(b"multipart/form-data")
        for name, value in scope["headers"]
    )


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay
