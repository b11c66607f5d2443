"""A bound on the bodies of API requests.

Webhooks (`inbound/webhooks.py`) and photos (`photos.py`) read their own.
"""

from __future__ import annotations

from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.http.errors import EarlyErrorResponse
from service.http.request_body import BodyRejected, read_body
from service.http.shared_timeout import SharedTimeout

MAX_API_BODY: Final = 256 * 1024


class BodyLimitMiddleware:
    """Refuses an API body that is too large, too slow or encoded, before anything is done.

    Parameters:
      app: The application around which it stands.
      seconds: How long the sender may take.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._patience = SharedTimeout(seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the body whole, then go on with it."""
        if not _is_limited(scope):
            await self._app(scope, receive, send)
            return
        try:
            body = await read_body(scope, receive, MAX_API_BODY, self._patience)
        except BodyRejected as refused:
            answer = EarlyErrorResponse(
                refused.status, refused.code, refused.message, self._patience.seconds
            )
            await answer(scope, receive, send)
        except ClientDisconnect:
            return  # half a request is none
        else:
            await self._app(scope, _replayed(body, receive), send)


def _is_limited(scope: Scope) -> bool:
    return (
        scope["type"] == "http"
        and scope["method"] not in ("GET", "HEAD")
        and not scope["path"].startswith("/webhooks/")
        and not (scope["path"] == "/jobs" and is_form(scope))
    )


def is_form(scope: Scope) -> bool:
    """Whether a request carries multipart/form-data."""
    return any(
        name == b"content-type" and value.lower().startswith(b"multipart/form-data")
        for name, value in scope["headers"]
    )


def _replayed(body: bytes, receive: Receive) -> Receive:
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay
