"""HTTP requests and replies, as the handlers see them."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from deploy.local.instagram.sessions import Device

Json: TypeAlias = dict[str, Any]
Scope: TypeAlias = dict[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Json]]
Send: TypeAlias = Callable[[Json], Awaitable[None]]


class ClientDisconnectedError(Exception):
    """The client disconnected before its request was complete."""


@dataclass(frozen=True)
class Reply:
    """A reply to the client; `content` takes precedence over `body`."""

    status: int = 200
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = ()
    content: bytes | None = None

    @property
    def payload(self) -> bytes:
        return json.dumps(self.body).encode() if self.content is None else self.content

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """All headers, ASGI style."""
        kind = b"application/json; charset=utf-8" if self.content is None else b"text/html"
        length = str(len(self.payload)).encode()
        own = [(name.lower().encode(), value.encode()) for name, value in self.headers]
        return [(b"content-type", kind), (b"content-length", length), *own]


@dataclass(frozen=True)
class Request:
    """A request; `params` are the placeholders of its route's path."""

    method: str
    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    params: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def form(self) -> Json:
        """The fields of a form body, or of the JSON in `signed_body=SIGNATURE.<json>`."""
        fields = dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))
        _, signed, document = fields.get("signed_body", "").partition("SIGNATURE.")
        return _json_object(document) if signed else fields

    @cached_property
    def bloks(self) -> Json:
        """The client and server parameters of a Bloks call, merged."""
        params = _json_object(str(self.form.get("params", "")))
        server = params.get("server_params") or {}
        return {**params, **server, **(params.get("client_input_params") or {})}

    @cached_property
    def session_id(self) -> str | None:
        """The session id from the bearer token, or else from the cookie."""
        token = self.headers.get("authorization", "").rpartition(":")[2]
        try:
            claims = _json_object(base64.b64decode(token).decode())
        except ValueError:
            claims = {}
        return claims.get("sessionid") or _cookies(self.headers).get("sessionid")

    @property
    def device(self) -> Device | None:
        """The device in the mobile headers; None for the client's web requests."""
        headers = self.headers
        if "x-ig-android-id" not in headers:
            return None
        return Device(
            headers["x-ig-android-id"],
            headers.get("x-ig-family-device-id", ""),
            headers.get("x-ig-device-id", ""),
            headers.get("user-agent", ""),
        )


def request_head(scope: Scope) -> Request:
    """Build a request from an ASGI scope, before its body has arrived."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
    return Request(
        method=scope["method"],
        host=headers.get("host", ""),
        path=scope["path"],
        query=query,
        headers=headers,
    )


async def read_body(receive: Receive) -> bytes:
    """Read the whole body.

    Raises:
        ClientDisconnectedError: the client disconnected first.
    """
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnectedError
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


async def send_reply(send: Send, reply: Reply) -> None:
    start = {"type": "http.response.start", "status": reply.status, "headers": reply.raw_headers}
    await send(start)
    await send({"type": "http.response.body", "body": reply.payload})


def _cookies(headers: Mapping[str, str]) -> dict[str, str]:
    pairs = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
    return {name: value for name, _, value in pairs if name}


def _json_object(text: str) -> Json:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
