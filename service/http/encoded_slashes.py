"""Refuses encoded slashes that would change a request's route.

Paths are decoded before they are routed, so `/jobs%2Fjob_x` would be `/jobs/job_x` here and
something else to a proxy that allows or blocks paths. In an argument, such as the encoded link of a
profile, they are wanted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from typing import Any, Final
from urllib.parse import unquote

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send

from service.http.errors import error_response

_ENCODED_SLASH: Final = re.compile(rb"%2f", re.IGNORECASE)


class EncodedSlashMiddleware:
    """Answers 400, or closes the WebSocket, if the route depends on an encoded slash.

    Parameters:
      app: The wrapped application.
      routes: Its routes with an argument, in order, and any others; none contains others.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on."""
        if b"%" not in scope.get("raw_path", b"") or not self._changes_route(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            message = "The path has an encoded slash where it has none in the documentation."
            await error_response(400, "bad_request", message)(scope, receive, send)

    def _changes_route(self, scope: Scope) -> bool:
        raw_path: bytes = scope["raw_path"]
        if not _ENCODED_SLASH.search(raw_path):
            return False
        kept = unquote(_ENCODED_SLASH.sub(b"%252F", raw_path).decode())
        route = self._find_route(scope, scope["path"])
        return route is not None and route is not self._find_route(scope, kept)

    def _find_route(self, scope: Scope, path: str) -> BaseRoute | None:
        """Return the route that serves the path; if there is none, one for another method."""
        changed: dict[str, Any] = {**scope, "path": path}
        matches = [(route.matches(changed)[0], route) for route in self._routes]
        full = (route for match, route in matches if match is Match.FULL)
        partial = (route for match, route in matches if match is Match.PARTIAL)
        return next(chain(full, partial), None)
