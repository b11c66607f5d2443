"""The control interface: plain HTTP and JSON, for tests and people."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from typing import Any, Final, TypeAlias

from deploy.local.instagram.app import Switchboard
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
from deploy.local.instagram.posts import Post
from deploy.local.instagram.users import Profile, User
from deploy.local.proxy import FAULTS, ConnectProxy

_Endpoint: TypeAlias = Callable[["ControlApp", Json], Any]


class ControlApp:
    """The ASGI application of the control port."""

    def __init__(self, stage: Switchboard, proxy: ConnectProxy) -> None:
        self.stage = stage
        self.proxy = proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one control request."""
        head = request_head(scope)
        body = await read_body(receive)
        await send_reply(send, self._answer(head, body))

    def _answer(self, head: Request, body: bytes) -> Reply:
        endpoint = _ENDPOINTS.get((head.method, head.path))
        if endpoint is None:
            known = sorted(f"{method} {path}" for method, path in _ENDPOINTS)
            return Reply(404, {"error": f"known are {', '.join(known)}"})
        try:
            result = endpoint(self, {**head.query, **_parse(body)})
        except (ValueError, TypeError, KeyError) as exc:
            message = f"{exc.args[0]} is missing" if isinstance(exc, KeyError) else str(exc)
            return Reply(400, {"error": message})
        return Reply(200, result if isinstance(result, dict) else {"items": result})


def _parse(body: bytes) -> Json:
    value = json.loads(body) if body else {}
    if not isinstance(value, dict):
        raise ValueError("the body must be a JSON object")
    return value


def _healthz(_app: ControlApp, _body: Json) -> Json:
    return {"status": "ok"}


def _log(app: ControlApp, body: Json) -> object:
    return app.stage.calls.since(int(body.get("since", 0)))


def _dms(app: ControlApp, _body: Json) -> object:
    return app.stage.world.mail.records()


def _uploads(app: ControlApp, _body: Json) -> object:
    return app.stage.world.uploads.records()


def _comments(app: ControlApp, _body: Json) -> object:
    return app.stage.world.posts.records()


def _logins(app: ControlApp, _body: Json) -> object:
    return app.stage.world.sessions.logins


def _devices(app: ControlApp, _body: Json) -> object:
    return app.stage.world.sessions.devices()


def _add_user(app: ControlApp, body: Json) -> Json:
    return _shown(_user_from(app, body))


def _add_account(app: ControlApp, body: Json) -> Json:
    account = app.stage.world.people.add_account(
        _text(body, "username"),
        _text(body, "password"),
        totp_seed=_text(body, "totp_seed") if body.get("totp_seed") else None,
        profile_code=_text(body, "profile_code") if body.get("profile_code") else None,
    )
    return _shown(account.user)


def _add_media(app: ControlApp, body: Json) -> Json:
    world = app.stage.world
    owner = world.people.by_name(_text(body, "owner"))
    if owner is None:
        raise ValueError(f"owner: there is no user {body['owner']}")
    post = Post(
        int(body["pk"]),
        owner,
        caption=str(body.get("caption", "")),
        comments_disabled=body.get("comments_disabled") is True,
    )
    world.posts.add(post)
    return {"pk": str(post.pk), "id": post.id, "code": post.code}


def _add_fault(app: ControlApp, body: Json) -> Json:
    return {"id": app.stage.faults.add(body).id}


def _faults(app: ControlApp, _body: Json) -> object:
    return app.stage.faults.described()


def _clear_faults(app: ControlApp, _body: Json) -> Json:
    app.stage.faults.clear()
    app.proxy.set_fault(None)
    return {}


def _expire_session(app: ControlApp, body: Json) -> Json:
    return {"expired": app.stage.world.sessions.expire(_text(body, "username"))}


def _shift_clock(app: ControlApp, body: Json) -> Json:
    app.stage.world.clock.offset_seconds = float(body["offset_seconds"])
    return {}


def _proxy(app: ControlApp, _body: Json) -> Json:
    return {"connects": app.proxy.connects, "open_tunnels": app.proxy.open_tunnels}


def _script_proxy(app: ControlApp, body: Json) -> Json:
    if "fault" in body:
        fault = body["fault"]
        if fault is not None and fault not in FAULTS:
            raise ValueError(f"fault: null or one of {', '.join(FAULTS)}")
        app.proxy.set_fault(fault, body.get("times"))
    if "credentials" in body:
        app.proxy.credentials = body["credentials"]
    return {"cut": app.proxy.cut_all() if body.get("cut_open") else 0}


def _reset(app: ControlApp, _body: Json) -> Json:
    app.stage.reset()
    app.proxy.reset()
    return {}


def _user_from(app: ControlApp, body: Json) -> User:
    traits = dict(body)
    username, pk = traits.pop("username", ""), traits.pop("pk", None)
    known = {entry.name: entry.type for entry in fields(Profile)}
    for name, value in traits.items():
        if type(value).__name__ != known.get(name):
            raise ValueError(f"{name}: known are {known}")
    return app.stage.world.people.add(str(username), Profile(**traits), pk and int(pk))


def _shown(user: User) -> Json:
    return {"pk": str(user.pk), "username": user.username}


def _text(body: Json, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name}: give a text")
    return value


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
    ("POST", "/sessions/expire"): _expire_session,
    ("POST", "/clock"): _shift_clock,
    ("GET", "/proxy"): _proxy,
    ("POST", "/proxy"): _script_proxy,
    ("POST", "/reset"): _reset,
}
