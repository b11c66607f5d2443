"""The short way in for webhooks.

Routing and solving dependencies cost FastAPI more than a webhook costs us. So a webhook goes past
them, to the function that its route calls too: the route documents it, and answers what is no POST.
"""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.types import Receive, Scope, Send
from structlog.contextvars import clear_contextvars

from service.api import webhooks
from service.http.errors import internal_error_response, redis_unavailable_response
from service.redis.client import REDIS_ERRORS

_PREFIX: Final = "/webhooks/"


class WebhookFastPath:
    """Answers `POST /webhooks/{source}` itself and passes everything else on.

    Parameters:
      app: The application in front of which it stands.
    """

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or go on."""
        source = _source(scope)
        if source is None:
            await self._app(scope, receive, send)
            return
        clear_contextvars()  # an earlier request's ids
        try:
            response = await webhooks.handle(self._app.state.web, source, scope, receive)
        except REDIS_ERRORS as error:
            response = await redis_unavailable_response(Request(scope), error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the sender comes again
            response = internal_error_response(error)
        await response(scope, receive, send)


def _source(scope: Scope) -> str | None:
    """The name in the path, where FastAPI's router would find one."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return None
    path: str = scope["path"]
    if not path.startswith(_PREFIX):
        return None
    source = path[len(_PREFIX) :].removesuffix("/")
    return source if source and "/" not in source else None
