"""Gives every request an id, for its log lines and its response.

Webhooks are left out: they are answered before any middleware, and their events have ids of their
own.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.logging.context import bind_ids, clear_ids

_HEADER: Final = b"x-request-id"
#: Bounded and printable, for it is logged and sent back.
_USABLE: Final = re.compile(rb"[\x21-\x7e]{1,128}")


class RequestIdMiddleware:
    """Takes the id of the request's `X-Request-ID`, or makes one.

    Parameters:
      app: The wrapped application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application; its log lines and its response carry the id."""
        clear_ids()  # bound by an earlier request
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope["headers"])
        bind_ids(request_id=request_id.decode())

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (_HEADER, request_id)]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_with_id)


def request_id_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The caller's id, if it can be used; otherwise a new one."""
    given = next((value for name, value in headers if name == _HEADER), b"")
    return given if _USABLE.fullmatch(given) else f"req_{secrets.token_hex(10)}".encode()
