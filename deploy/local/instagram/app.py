"""The fake Instagram's HTTP surface: log, misbehave if told to, handle, answer."""

from __future__ import annotations

import asyncio
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from deploy.local.instagram import calls, routes
from deploy.local.instagram.calls import CallLog
from deploy.local.instagram.clock import Clock
from deploy.local.instagram.faults import NO_EFFECT, Effect, Faults
from deploy.local.instagram.http import (
    ClientGoneError,
    Json,
    Receive,
    Reply,
    Request,
    Scope,
    Send,
    read_body,
    request_head,
    send_reply,
)
from deploy.local.instagram.passwords import PasswordKey
from deploy.local.instagram.records import CallRecord
from deploy.local.instagram.replies import refuse
from deploy.local.instagram.routes import Route
from deploy.local.instagram.state import Options, State
from deploy.local.instagram.users import Account

# How long the other end of a cut tunnel gets to notice.
_NOTICE_SECONDS = 2.0
# How long half an answer gets to travel through the proxy before the tunnel is cut behind it.
_TRAVEL_SECONDS = 0.05


class Tunnels(Protocol):
    """What the app asks of the proxy in front of it."""

    def tunnel_id(self, upstream_port: int) -> int | None:
        """The tunnel a connection came through."""

    def cut(self, upstream_port: int) -> bool:
        """Cut the tunnel a connection came through."""


class Switchboard:
    """The world, the log and the faults of now; a reset replaces all three.

    A request keeps the ones it began with, so that it cannot reach into the next test.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._password_key = PasswordKey.generate()
        self.reset()

    def reset(self) -> None:
        """Start over with a freshly seeded world."""
        self.world = State(self._options, self._password_key)
        self.calls = CallLog()
        self.faults = Faults()


class InstagramApp:
    """The ASGI application behind Instagram's host names."""

    def __init__(self, stage: Switchboard, tunnels: Tunnels) -> None:
        self._stage = stage
        self._tunnels = tunnels

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, and see its log entry through to the end."""
        world, faults = self._stage.world, self._stage.faults
        head = request_head(scope)
        port = scope["client"][1]
        path = scope["path"] + ("?" if head.query else "") + scope["query_string"].decode()
        call = self._stage.calls.begin(
            head, path, scope["http_version"], self._tunnels.tunnel_id(port)
        )
        route, head = routes.find(head)
        call["call"] = route.call
        try:
            request = replace(head, body=await read_body(receive))
        except ClientGoneError:
            calls.end(call, None, "client_gone")
            return
        _identify(call, world, request)
        fault = faults.take(route.call, request.path, call["account"])
        call["fault"] = fault.id if fault else None
        dated = _dated(send, world.clock)
        visit = _Exchange(call, receive, dated, lambda: self._tunnels.cut(port))
        try:
            await visit.serve(world, route, request, fault.effect if fault else NO_EFFECT)
        finally:
            await visit.close()


def _dated(send: Send, clock: Clock) -> Send:
    async def dated(message: Json) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], clock.date_header()]}
        await send(message)

    return dated


def _identify(call: CallRecord, world: State, request: Request) -> None:
    account = world.sessions.owner(request.session_id)
    username = account.username if account else _claimed_username(world, request)
    if username is None:
        return
    call["account"] = username
    call["user_id"] = str(account.user.pk) if account else None
    if request.device is not None:
        world.sessions.record_device(username, request.device)


def _claimed_username(world: State, request: Request) -> str | None:
    """Whom a request without a session says it is about."""
    fields = {**request.form, **request.bloks}
    for name in ("contact_point", "username_input", "username"):
        if fields.get(name):
            return str(fields[name])
    for name in ("two_step_verification_context", "context_data"):
        account: Account | None = world.sessions.unfinished(str(fields.get(name, "")))
        if account is not None:
            return account.username
    return None


class _Exchange:
    """One request's way from its complete arrival to its end."""

    def __init__(
        self, call: CallRecord, receive: Receive, send: Send, cut: Callable[[], bool]
    ) -> None:
        self._call = call
        self._send = send
        self._cut = cut
        # After the body, the only thing left to receive is the news that the client has gone.
        self._gone = asyncio.ensure_future(receive())
        self._gone.add_done_callback(self._note_gone)

    async def serve(self, world: State, route: Route, request: Request, effect: Effect) -> None:
        await _sleep(effect.delay_seconds)
        if effect.drop_before:
            await self._drop("dropped_before")
        elif effect.hang:
            await self._gone
            self._end(None, "hung")
        elif effect.refusal is not None:
            await self._answer(effect.refusal)
        else:
            reply = self._handle(world, route, request)
            await _sleep(effect.delay_after_effect_seconds)
            await self._answer_after_effect(reply, effect)

    async def close(self) -> None:
        self._gone.cancel()
        with suppress(asyncio.CancelledError):
            await self._gone
        if self._call["ended"] is None:
            self._end(None, "crashed")

    def _handle(self, world: State, route: Route, request: Request) -> Reply:
        try:
            return route.handler(world, request)
        except (KeyError, ValueError, TypeError):
            # The client sent what no handler foresaw: show a person where, and refuse it.
            traceback.print_exc(file=sys.stderr)
            self._call["outcome"] = "malformed"
            return refuse("bad_request")

    async def _answer_after_effect(self, reply: Reply, effect: Effect) -> None:
        if effect.answer == "drop":
            await self._drop("dropped_after")
        elif effect.answer == "truncate":
            await self._truncate(reply)
        elif effect.answer == "empty":
            await self._answer(Reply(200, {"status": "ok"}))
        elif effect.answer == "not_json":
            await self._answer(refuse("not_json"))
        else:
            await self._answer(effect.replacement or reply)

    async def _answer(self, reply: Reply) -> None:
        if self._gone.done():
            self._end(None, "client_gone")
            return
        # Logged before it is sent: a client that has its answer finds the log complete.
        self._end(reply.status, self._call["outcome"] or "answered")
        await send_reply(self._send, reply)

    async def _truncate(self, reply: Reply) -> None:
        """Send half of what was announced, then cut the tunnel."""
        await self._send(
            {
                "type": "http.response.start",
                "status": reply.status,
                "headers": reply.raw_headers,
            }
        )
        half = reply.payload[: len(reply.payload) // 2]
        await self._send({"type": "http.response.body", "body": half, "more_body": True})
        await _sleep(_TRAVEL_SECONDS)
        await self._drop("truncated", reply.status)

    async def _drop(self, outcome: str, status: int | None = None) -> None:
        self._end(status, outcome)
        self._cut()
        await asyncio.wait({self._gone}, timeout=_NOTICE_SECONDS)

    def _note_gone(self, gone: asyncio.Future[Any]) -> None:
        if self._call["ended"] is None and not gone.cancelled():
            self._call["gone"] = time.monotonic()

    def _end(self, status: int | None, outcome: str) -> None:
        calls.end(self._call, status, outcome)


async def _sleep(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)
