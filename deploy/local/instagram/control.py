"""The control interface of the fake Instagram: plain HTTP and JSON, for tests and people."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, Final, TypeAlias

from deploy.local.instagram.app import Simulation
from deploy.local.instagram.comment_settings import COMMENT_SETTINGS
from deploy.local.instagram.follower_lists import LISTINGS
from deploy.local.instagram.http import (
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
from deploy.local.instagram.json_fields import choice, required_text
from deploy.local.instagram.odd_fields import POST_SHAPES, USER_SHAPES
from deploy.local.instagram.posts import Post
from deploy.local.instagram.recipient_settings import RECIPIENT_SETTINGS
from deploy.local.instagram.situations import SITUATIONS
from deploy.local.instagram.users import Profile, User
from deploy.local.proxy import FAULTS, ConnectProxy

_Endpoint: TypeAlias = Callable[["ControlApp", Json], Any]


class ControlApp:
    """The ASGI application of the control port."""

    def __init__(self, simulation: Simulation, proxy: ConnectProxy) -> None:
        self.simulation = simulation
        self.proxy = proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = request_head(scope)
        body = await read_body(receive)
        await send_reply(send, self._handle(head, body))

    def _handle(self, head: Request, body: bytes) -> Reply:
        if (head.method, head.path) not in _ENDPOINTS.keys() | SITUATIONS.keys():
            known = sorted(f"{method} {path}" for method, path in (*_ENDPOINTS, *SITUATIONS))
            return Reply(404, {"error": f"unknown endpoint; use one of {', '.join(known)}"})
        try:
            result = self._call(head, {**head.query, **_parse(body)})
        except (ValueError, TypeError, KeyError) as exc:
            message = f"{exc.args[0]} is missing" if isinstance(exc, KeyError) else str(exc)
            return Reply(400, {"error": message})
        return Reply(200, result if isinstance(result, dict) else {"items": result})

    def _call(self, head: Request, body: Json) -> Any:
        situation = SITUATIONS.get((head.method, head.path))
        if situation is not None:
            return situation(self.simulation.state, body)
        return _ENDPOINTS[head.method, head.path](self, body)


def _parse(body: bytes) -> Json:
    value = json.loads(body) if body else {}
    if not isinstance(value, dict):
        raise ValueError("the body must be a JSON object")
    return value


def _healthz(_app: ControlApp, _body: Json) -> Json:
    return {"status": "ok"}


def _log(app: ControlApp, body: Json) -> object:
    return app.simulation.calls.since(int(body.get("since", 0)))


def _dms(app: ControlApp, _body: Json) -> object:
    return app.simulation.state.messages.records()


def _uploads(app: ControlApp, _body: Json) -> object:
    return app.simulation.state.uploads.records()


def _comments(app: ControlApp, _body: Json) -> object:
    return app.simulation.state.posts.records()


def _logins(app: ControlApp, _body: Json) -> object:
    return app.simulation.state.sessions.logins


def _devices(app: ControlApp, _body: Json) -> object:
    return app.simulation.state.sessions.devices()


def _add_user(app: ControlApp, body: Json) -> Json:
    return _user_view(_add_or_change_user(app, body))


def _add_account(app: ControlApp, body: Json) -> Json:
    account = app.simulation.state.users.add_account(
        required_text(body, "username"),
        required_text(body, "password"),
        totp_seed=required_text(body, "totp_seed") if body.get("totp_seed") else None,
        profile_code=required_text(body, "profile_code") if body.get("profile_code") else None,
    )
    return _user_view(account.user)


def _add_media(app: ControlApp, body: Json) -> Json:
    state = app.simulation.state
    owner = state.users.by_name(required_text(body, "owner"))
    if owner is None:
        raise ValueError(f"owner: no user is named {body['owner']}")
    post = Post(
        int(body["pk"]),
        owner,
        caption=str(body.get("caption", "")),
        comments_disabled=body.get("comments_disabled") is True,
        comments=choice(body, "comments", COMMENT_SETTINGS, "open"),
        shape=choice(body, "shape", POST_SHAPES, "usual"),
    )
    state.posts.add(post)
    return {"pk": str(post.pk), "id": post.id, "code": post.code}


def _add_fault(app: ControlApp, body: Json) -> Json:
    return {"id": app.simulation.faults.add(body).id}


def _faults(app: ControlApp, _body: Json) -> object:
    return app.simulation.faults.describe()


def _clear_faults(app: ControlApp, _body: Json) -> Json:
    app.simulation.faults.clear()
    app.proxy.set_fault(None)
    return {}


def _shift_clock(app: ControlApp, body: Json) -> Json:
    app.simulation.state.clock.offset_seconds = float(body["offset_seconds"])
    return {}


def _proxy(app: ControlApp, _body: Json) -> Json:
    return {"connects": app.proxy.connects, "open_tunnels": app.proxy.open_tunnels}


def _set_proxy(app: ControlApp, body: Json) -> Json:
    if "fault" in body:
        fault = body["fault"]
        if fault is not None and fault not in FAULTS:
            raise ValueError(f"fault: use null or one of {', '.join(FAULTS)}")
        app.proxy.set_fault(fault, body.get("times"))
    if "credentials" in body:
        app.proxy.credentials = body["credentials"]
    return {"cut": app.proxy.cut_all() if body.get("cut_open") else 0}


def _reset(app: ControlApp, _body: Json) -> Json:
    app.simulation.reset()
    app.proxy.reset()
    return {}


def _add_or_change_user(app: ControlApp, body: Json) -> User:
    fields_given = dict(body)
    username, pk = fields_given.pop("username", ""), fields_given.pop("pk", None)
    known = {entry.name: entry.type for entry in fields(Profile)}
    for name, value in fields_given.items():
        if type(value).__name__ != known.get(name):
            raise ValueError(f"{name}: use one of {known}")
    for name, names in _PROFILE_CHOICES.items():
        choice(fields_given, name, names, next(iter(names)))
    known_user = app.simulation.state.users.named(str(username))
    profile = replace(known_user.profile if known_user else Profile(), **fields_given)
    return app.simulation.state.users.add(str(username), profile, pk and int(pk))


def _user_view(user: User) -> Json:
    return {"pk": str(user.pk), "username": user.username}


_PROFILE_CHOICES: Final[Mapping[str, Mapping[str, object]]] = {
    "messages": RECIPIENT_SETTINGS,
    "shape": USER_SHAPES,
    "lists": LISTINGS,
}


_ENDPOINTS: Final[dict[tuple[str, str], _Endpoint]] = {
    ("GET", "/healthz"): _healthz,
    ("GET", "/log"): _log,
    ("GET", "/dms"): _dms,
    ("GET", "/uploads"): _uploads,
    ("GET", "/comments"): _comments,
    ("GET", "/logins"): _logins,
    ("GET", "/devices"): _devices,
    ("POST", "/users"): _add_user,
    ("POST", "/accounts"): _add_account,
    ("POST", "/media"): _add_media,
    ("GET", "/faults"): _faults,
    ("POST", "/faults"): _add_fault,
    ("DELETE", "/faults"): _clear_faults,
    ("POST", "/clock"): _shift_clock,
    ("GET", "/proxy"): _proxy,
    ("POST", "/proxy"): _set_proxy,
    ("POST", "/reset"): _reset,
}
