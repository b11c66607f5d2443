"""Endpoints of the control interface that bring about a situation, and end it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias, cast

from deploy.local.instagram.challenges import CHALLENGE_KINDS
from deploy.local.instagram.content_filters import KINDS, ContentFilter, Kind
from deploy.local.instagram.http import Json
from deploy.local.instagram.json_fields import choice, flag, reject_unknown, required_text
from deploy.local.instagram.login_refusals import CHANNELS, Channel, PlannedRefusal
from deploy.local.instagram.refusal import SHAPES, RefusalShape
from deploy.local.instagram.relations import RELATIONS, Relation
from deploy.local.instagram.replies import ALL_REFUSALS
from deploy.local.instagram.state import State
from deploy.local.instagram.stored_text import TEXT_STYLES, TextStyle
from deploy.local.instagram.users import Account, User

_Endpoint: TypeAlias = Callable[[State, Json], Any]

#: The code of a challenge that a test gives none.
DEFAULT_CODE: Final = "123456"


def expire_sessions(state: State, body: Json) -> Json:
    """`username`, and `end`: the refusal that the sessions' calls get."""
    reject_unknown(body, ("username", "end"))
    end = choice(body, "end", ALL_REFUSALS, "login_required")
    return {"expired": state.sessions.expire(required_text(body, "username"), end)}


def change_password(state: State, body: Json) -> Json:
    """`username` and `password`: logs every client out, as Instagram does."""
    reject_unknown(body, ("username", "password"))
    account = _account(state, required_text(body, "username"))
    account.password = required_text(body, "password")
    state.challenges.end(account)
    return {"expired": state.sessions.expire(account.username, "user_has_logged_out")}


def start_challenge(state: State, body: Json) -> Json:
    """`account` and `kind`; `code` for kinds that ask for one."""
    reject_unknown(body, ("account", "kind", "code"))
    account = _account(state, required_text(body, "account"))
    kind = choice(body, "kind", CHALLENGE_KINDS)
    code = str(body.get("code") or DEFAULT_CODE)
    state.challenges.start(account, kind, code)
    if kind == "disabled":
        state.sessions.expire(account.username)
    return {"way_back": CHALLENGE_KINDS[kind].way_back}


def approve_challenge(state: State, body: Json) -> Json:
    """`account`: the person gives the OK in the app."""
    reject_unknown(body, ("account",))
    account = _account(state, required_text(body, "account"))
    way_back = state.challenges.approve(account)
    if way_back == "login":
        state.sessions.expire(account.username, "login_required_bare")
    return {"left_to_do": way_back if way_back in ("acknowledge", "login") else None}


def end_challenge(state: State, body: Json) -> Json:
    """`account`: Instagram drops the challenge, whatever its kind."""
    state.challenges.end(_account(state, required_text(body, "account")))
    return {}


def challenges(state: State, _body: Json) -> object:
    return state.challenges.records()


def refuse_logins(state: State, body: Json) -> Json:
    """`username`, `refusal`, `channel`, `times`; `refusal` null drops the one that is planned."""
    reject_unknown(body, ("username", "refusal", "channel", "times"))
    username = required_text(body, "username")
    if body.get("refusal") is None:
        state.login_refusals.plan(username, None)
        return {}
    times = body.get("times")
    if times is not None and (isinstance(times, bool) or not isinstance(times, int) or times < 1):
        raise ValueError("times: must be a whole number from 1, or null for all")
    refusal = choice(body, "refusal", ALL_REFUSALS)
    channel = cast(Channel, choice(body, "channel", CHANNELS, "legacy"))
    state.login_refusals.plan(username, PlannedRefusal(refusal, channel, times))
    return {}


def set_relation(state: State, body: Json) -> Json:
    """`username` follows, blocks or restricts (`relation`) `account`; `holds` false undoes it."""
    reject_unknown(body, ("username", "relation", "account", "holds"))
    relation = cast(Relation, choice(body, "relation", RELATIONS))
    user = _user(state, required_text(body, "username"))
    other = _user(state, required_text(body, "account"))
    state.relations.set(relation, user, other, holds=flag(body, "holds", default=True))
    return {}


def add_content_filter(state: State, body: Json) -> Json:
    """`contains` and `refusal`; optionally `kind` (dm, comment) and `account`."""
    reject_unknown(body, ("contains", "refusal", "kind", "account"))
    kind = None if body.get("kind") is None else cast(Kind, choice(body, "kind", KINDS))
    account = body.get("account")
    state.content_filters.append(
        ContentFilter(
            required_text(body, "contains"),
            choice(body, "refusal", ALL_REFUSALS, "content_blocked"),
            kind,
            None if account is None else _account(state, str(account)).username,
        )
    )
    return {}


def clear_content_filters(state: State, _body: Json) -> Json:
    state.content_filters.clear()
    return {}


def accept_requests(state: State, body: Json) -> Json:
    """`username` accepts all message requests to it."""
    reject_unknown(body, ("username",))
    user = _user(state, required_text(body, "username"))
    waiting = state.messages.threads_of(user, pending=True)
    for thread in waiting:
        thread.pending_for.discard(user.pk)
    return {"accepted": len(waiting)}


def limit_account(state: State, body: Json) -> Json:
    """`account` finds nothing any more; `refusal` replaces each call's own "not found"."""
    reject_unknown(body, ("account", "refusal"))
    account = _account(state, required_text(body, "account"))
    refusal = choice(body, "refusal", ("", *ALL_REFUSALS), "")
    state.behavior.shadow_limited[account.username] = refusal
    return {}


def unlimit_account(state: State, body: Json) -> Json:
    state.behavior.shadow_limited.pop(required_text(body, "account"), None)
    return {}


def change_behavior(state: State, body: Json) -> Json:
    """`text_style` (with `account`: only its), `refusal_shape`, `one_session`."""
    reject_unknown(body, ("text_style", "account", "refusal_shape", "one_session"))
    behavior = state.behavior
    if "account" in body:
        account = _account(state, required_text(body, "account"))
        style = cast(TextStyle, choice(body, "text_style", TEXT_STYLES))
        behavior.text_styles[account.username] = style
        return behavior_now(state, body)
    behavior.text_style = cast(
        TextStyle, choice(body, "text_style", TEXT_STYLES, behavior.text_style)
    )
    behavior.refusal_shape = cast(
        RefusalShape, choice(body, "refusal_shape", SHAPES, behavior.refusal_shape)
    )
    behavior.one_session = flag(body, "one_session", default=behavior.one_session)
    return behavior_now(state, body)


def behavior_now(state: State, _body: Json) -> Json:
    behavior = state.behavior
    return {
        "text_style": behavior.text_style,
        "text_styles": behavior.text_styles,
        "refusal_shape": behavior.refusal_shape,
        "one_session": behavior.one_session,
        "shadow_limited": sorted(behavior.shadow_limited),
    }


def refusals(_state: State, _body: Json) -> object:
    """Every named refusal, for faults, content filters and logins."""
    return [
        {"name": name, "status": each.reply.status, "call": each.call, "raises": each.raises}
        for name, each in sorted(ALL_REFUSALS.items())
    ]


def _account(state: State, username: str) -> Account:
    account = state.account(username)
    if account is None:
        raise ValueError(f"account {username!r}: add it with POST /accounts first")
    return account


def _user(state: State, username: str) -> User:
    user = state.users.by_name(username)
    if user is None:
        raise ValueError(f"username {username!r}: add it with POST /users first")
    return user


SITUATIONS: Final[dict[tuple[str, str], _Endpoint]] = {
    ("POST", "/sessions/expire"): expire_sessions,
    ("POST", "/accounts/password"): change_password,
    ("GET", "/challenges"): challenges,
    ("POST", "/challenges"): start_challenge,
    ("POST", "/challenges/approve"): approve_challenge,
    ("DELETE", "/challenges"): end_challenge,
    ("POST", "/login-refusals"): refuse_logins,
    ("POST", "/relations"): set_relation,
    ("POST", "/content-filters"): add_content_filter,
    ("DELETE", "/content-filters"): clear_content_filters,
    ("POST", "/requests/accept"): accept_requests,
    ("POST", "/shadow-limits"): limit_account,
    ("DELETE", "/shadow-limits"): unlimit_account,
    ("GET", "/behavior"): behavior_now,
    ("POST", "/behavior"): change_behavior,
    ("GET", "/refusals"): refusals,
}
