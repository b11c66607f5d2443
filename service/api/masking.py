"""Masks what shows a person in every JSON answer to a key that may not see it.

The answer of a route is masked whatever it consists of, so that none can forget to.
"""

from __future__ import annotations

import json
from typing import Final

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.jobs.masking import mask

_STATE: Final = "masks_people"
_LENGTH: Final = b"content-length"


def mask_answer(connection: HTTPConnection) -> None:
    """Have the answer to a request masked."""
    setattr(connection.state, _STATE, True)


class MaskingMiddleware:
    """Masks the answers to requests that `mask_answer` was called for.

    Parameters:
      app: The wrapped application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application; mask a JSON answer before it is sent."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        answer: _Answer | None = None

        async def masked_send(message: Message) -> None:
            nonlocal answer
            if message["type"] == "http.response.start" and _STATE in state and _is_data(message):
                answer = _Answer(message)
            elif answer is None:
                await send(message)
            elif answer.add(message):
                await answer.send(send)

        await self._app(scope, receive, masked_send)


class _Answer:
    """A JSON answer, kept until it is complete.

    Parameters:
      start: Its first message.
    """

    def __init__(self, start: Message) -> None:
        self._start = start
        self._body = bytearray()

    def add(self, message: Message) -> bool:
        """Add a part of the body; return whether it was the last one."""
        self._body += message.get("body", b"")
        return not message.get("more_body", False)

    async def send(self, send: Send) -> None:
        """Send what is left of it."""
        body = _masked(bytes(self._body))
        headers = [pair for pair in self._start["headers"] if pair[0].lower() != _LENGTH]
        headers.append((_LENGTH, b"%d" % len(body)))
        await send({**self._start, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _masked(body: bytes) -> bytes:
    if not body:  # HEAD
        return body
    return json.dumps(mask(json.loads(body)), ensure_ascii=False, separators=(",", ":")).encode()


def _is_data(start: Message) -> bool:
    """Whether an answer is JSON, and no error: those repeat nothing that is stored."""
    types = [value for name, value in start["headers"] if name.lower() == b"content-type"]
    return start["status"] < 300 and any(each.startswith(b"application/json") for each in types)
