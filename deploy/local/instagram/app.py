"""The fake Instagram's HTTP application: log a request, apply faults, handle it, reply."""

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
    ClientDisconnectedError,
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

# How long to wait for the client to notice a cut tunnel.
_DISCONNECT_SECONDS = 2.0
# How long half a reply gets to pass through the proxy before the tunnel is cut.
_FLUSH_SECONDS = 0.05


class ProxyTunnels(Protocol):
    """The part of the proxy used here; a connection's client port identifies its tunnel."""

    def tunnel_id(self, upstream_port: int) -> int | None:
        """The id of a connection's tunnel."""

    def cut(self, upstream_port: int) -> bool:
        """Cut a connection's tunnel."""


class Simulation:
    """The current state, call log and faults; a reset replaces all three.

    A request keeps those it started with, so that it cannot affect the next test.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._password_key = PasswordKey.generate()
        self.reset()

    def reset(self) -> None:
        """Start over with freshly seeded state."""
        self.state = State(self._options, self._password_key)
        self.calls = CallLog()
        self.faults = Faults()


class InstagramApp:
    """The ASGI application behind Instagram's host names."""

    def __init__(self, simulation: Simulation, tunnels: ProxyTunnels) -> None:
        self._simulation = simulation
        self._tunnels = tunnels

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and complete its log entry."""
        state, faults = self._simulation.state, self._simulation.faults
        head = request_head(scope)
        port = scope["client"][1]
        path = scope["path"] + ("?" if head.query else "") + scope["query_string"].decode()
        call = self._simulation.calls.begin(
            head, path, scope["http_version"], self._tunnels.tunnel_id(port)
        )
        route, head = routes.find(head)
        call["call"] = route.call
        try:
            request = replace(head, body=await read_body(receive))
        except ClientDisconnectedError:
            calls.end(call, None, "client_gone")
            return
        _record_account(call, state, request)
        fault = faults.take(route.call, request.path, call["account"])
        call["fault"] = fault.id if fault else None
        send_with_date = _add_date_header(send, state.clock)
        exchange = _Exchange(call, receive, send_with_date, lambda: self._tunnels.cut(port))
        try:
            await exchange.serve(state, route, request, fault.effect if fault else NO_EFFECT)
        finally:
            await exchange.close()


def _add_date_header(send: Send, clock: Clock) -> Send:
    async def send_with_date(message: Json) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], clock.date_header()]}
        await send(message)

    return send_with_date


def _record_account(call: CallRecord, state: State, request: Request) -> None:
    account = state.sessions.owner(request.session_id)
    username = account.username if account else _claimed_username(state, request)
    if username is None:
        return
    call["account"] = username
    call["user_id"] = str(account.user.pk) if account else None
    if request.device is not None:
        state.sessions.record_device(username, request.device)


def _claimed_username(state: State, request: Request) -> str | None:
    """The username that a request without a session names."""
    fields = {**request.form, **request.bloks}
    for name in ("contact_point", "username_input", "username"):
        if fields.get(name):
            return str(fields[name])
    for name in ("two_step_verification_context", "context_data"):
        account: Account | None = state.sessions.unfinished(str(fields.get(name, "")))
        if account is not None:
            return account.username
    return None


class _Exchange:
    """One request, from its complete arrival to its end."""

    def __init__(
        self, call: CallRecord, receive: Receive, send: Send, cut: Callable[[], bool]
    ) -> None:
        self._call = call
        self._send = send
        self._cut = cut
        # After the body, the only message left to receive is the client's disconnect.
        self._disconnect = asyncio.ensure_future(receive())
        self._disconnect.add_done_callback(self._record_disconnect)

    async def serve(self, state: State, route: Route, request: Request, effect: Effect) -> None:
        await _sleep(effect.delay_seconds)
        if effect.drop_before:
            await self._drop("dropped_before")
        elif effect.hang:
            await self._disconnect
            self._end(None, "hung")
        elif effect.refusal is not None:
            await self._reply(effect.refusal)
        else:
            reply = self._handle(state, route, request)
            await _sleep(effect.delay_after_effect_seconds)
            await self._reply_after_effect(reply, effect)

    async def close(self) -> None:
        self._disconnect.cancel()
        with suppress(asyncio.CancelledError):
            await self._disconnect
        if self._call["ended"] is None:
            self._end(None, "crashed")

    def _handle(self, state: State, route: Route, request: Request) -> Reply:
        try:
            return route.handler(state, request)
        except (KeyError, ValueError, TypeError):
            # No handler expects this request: print where it failed, and refuse it.
            traceback.print_exc(file=sys.stderr)
            self._call["outcome"] = "malformed"
            return refuse("bad_request")

    async def _reply_after_effect(self, reply: Reply, effect: Effect) -> None:
        if effect.reply_change == "drop":
            await self._drop("dropped_after")
        elif effect.reply_change == "truncate":
            await self._truncate(reply)
        elif effect.reply_change == "empty":
            await self._reply(Reply(200, {"status": "ok"}))
        elif effect.reply_change == "not_json":
            await self._reply(refuse("not_json"))
        else:
            await self._reply(effect.replacement or reply)

    async def _reply(self, reply: Reply) -> None:
        if self._disconnect.done():
            self._end(None, "client_gone")
            return
        # Log before sending, so that a client that has its reply finds the log complete.
        self._end(reply.status, self._call["outcome"] or "answered")
        await send_reply(self._send, reply)

    async def _truncate(self, reply: Reply) -> None:
        """Send half of the announced body, then cut the tunnel."""
        await self._send(
            {
                "type": "http.response.start",
                "status": reply.status,
                "headers": reply.raw_headers,
            }
        )
        half = reply.payload[: len(reply.payload) // 2]
        await self._send({"type": "http.response.body", "body": half, "more_body": True})
        await _sleep(_FLUSH_SECONDS)
        await self._drop("truncated", reply.status)

    async def _drop(self, outcome: str, status: int | None = None) -> None:
        self._end(status, outcome)
        self._cut()
        await asyncio.wait({self._disconnect}, timeout=_DISCONNECT_SECONDS)

    def _record_disconnect(self, disconnect: asyncio.Future[Any]) -> None:
        if self._call["ended"] is None and not disconnect.cancelled():
            self._call["gone"] = time.monotonic()

    def _end(self, status: int | None, outcome: str) -> None:
        calls.end(self._call, status, outcome)


async def _sleep(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)
