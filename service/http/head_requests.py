"""HEAD on every path that has GET: the same headers without a body (RFC 9110, section 9.3.2)."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadMiddleware:
    """Runs HEAD as GET, and sends no body.

    Parameters:
      app: The wrapped application, which needs no routes for HEAD.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application; of HEAD's response, send the head only."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        ended = False

        async def send_head(message: Message) -> None:
            nonlocal ended
            if ended:
                return
            await send(message if message["type"] == "http.response.start" else _NOTHING)
            # Endless bodies end here: the server reports a disconnect to who goes on.
            ended = message["type"] == "http.response.body"

        await self._app({**scope, "method": "GET"}, receive, send_head)


_NOTHING: Message = {"type": "http.response.body", "body": b"", "more_body": False}
