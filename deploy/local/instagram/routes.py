"""Routes: the handler of each request, and the call's name in the log."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from deploy.local.instagram import challenge_steps, login, reads, writes
from deploy.local.instagram.http import Reply, Request
from deploy.local.instagram.replies import refuse
from deploy.local.instagram.state import State
from deploy.local.instagram.users import Account

Handler: TypeAlias = Callable[[State, Request], Reply]
SignedInHandler: TypeAlias = Callable[[State, Account, Request], Reply]

UNKNOWN_CALL = "unknown"


@dataclass(frozen=True)
class Route:
    """One call of the API."""

    call: str
    method: str
    pattern: re.Pattern[str]
    handler: Handler

    def params(self, request: Request) -> Mapping[str, str] | None:
        """The placeholders' values in the path, or None if the request is another call."""
        if request.method != self.method:
            return None
        found = self.pattern.fullmatch(request.path)
        return found.groupdict() if found else None


def find(request: Request) -> tuple[Route, Request]:
    """Find a request's route; returns it and the request with its path parameters."""
    for route in ROUTES:
        params = route.params(request)
        if params is not None:
            return route, replace(request, params=params)
    return _UNKNOWN, request


def require_session(handler: SignedInHandler) -> Handler:
    """Wrap a handler so that it needs a valid session; without one, reply how it ended."""

    def guarded(state: State, request: Request) -> Reply:
        account = state.sessions.account(request.session_id)
        if account is None:
            return refuse(state.sessions.end_of(request.session_id))
        return handler(state, account, request)

    return guarded


def _unless_stopped(handler: SignedInHandler, missing: str | None) -> SignedInHandler:
    """Wrap a handler so that a challenge or a shadow limit of the account comes first.

    Parameters:
        missing: the name of the call's refusal for what does not exist, if it has one.
    """

    def guarded(state: State, account: Account, request: Request) -> Reply:
        stopped = state.challenges.refusal_of_call(account.username)
        limit = state.behavior.shadow_limited.get(account.username)
        if stopped is None and limit is not None and missing is not None:
            stopped = limit or missing
        return handler(state, account, request) if stopped is None else refuse(stopped)

    return guarded


def _route(call: str, method: str, path: str, handler: Handler) -> Route:
    """A route whose `{name}` placeholders match one path segment each."""
    pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path))
    return Route(call, method, re.compile(pattern), handler)


def _api(call: str, method: str, path: str, handler: Handler) -> Route:
    return _route(call, method, f"/api/v1/{path}", handler)


def _get(call: str, path: str, handler: SignedInHandler, missing: str | None = None) -> Route:
    return _api(call, "GET", path, require_session(_unless_stopped(handler, missing)))


def _post(call: str, path: str, handler: SignedInHandler, missing: str | None = None) -> Route:
    return _api(call, "POST", path, require_session(_unless_stopped(handler, missing)))


def _before_login(call: str, path: str, handler: Handler) -> Route:
    return _api(call, "POST", path, handler)


def _bloks_action(call: str, action: str, handler: Handler) -> Route:
    return _before_login(call, f"bloks/async_action/com.bloks.www.{action}/", handler)


def _bloks_app(call: str, app: str, handler: Handler) -> Route:
    return _before_login(call, f"bloks/apps/com.bloks.www.{app}/", handler)


def _not_found(_world: State, _request: Request) -> Reply:
    return refuse("not_found")


_UNKNOWN = Route(UNKNOWN_CALL, "", re.compile("(?!)"), _not_found)

_BEFORE_LOGIN = (
    _route("usdid_register", "POST", "/graphql_www", login.register_usdid),
    _bloks_action(
        "process_client_data",
        "bloks.caa.login.process_client_data_and_redirect",
        login.process_client_data,
    ),
    _before_login("attestation", "attestation/create_android_keystore/", login.attest),
    _bloks_action("oauth_token_fetch", "caa.login.oauth.token.fetch.async", login.fetch_token),
    _api("password_key", "GET", "qe/sync/", login.password_key),
    _bloks_action("login", "bloks.caa.login.async.send_login_request", login.log_in),
    _before_login("launcher_sync", "launcher/sync/", login.sync_launcher),
    _before_login("login_legacy", "accounts/login/", login.log_in_legacy),
)

_TWO_STEP = (
    _bloks_app("totp_entrypoint", "two_step_verification.entrypoint", login.two_step_screen),
    _bloks_app("totp_method_picker", "two_step_verification.method_picker", login.two_step_screen),
    _bloks_action(
        "totp_select_method",
        "two_step_verification.method_picker.navigation.async",
        login.two_step_screen,
    ),
    _bloks_action("totp_verify", "two_step_verification.verify_code.async", login.verify_totp),
    _bloks_action(
        "profile_code_entrypoint",
        "ap.two_step_verification.entrypoint_async",
        login.profile_code_entrypoint,
    ),
    _bloks_app(
        "profile_code_entry", "ap.two_step_verification.code_entry", login.profile_code_entry
    ),
    _bloks_action(
        "profile_code_verify",
        "ap.two_step_verification.code_entry_async",
        login.verify_profile_code,
    ),
)

_READS = (
    _get("current_user", "accounts/current_user/", reads.current_user),
    _get("usernameinfo", "users/{username}/usernameinfo/", reads.user_by_name, "user_not_found"),
    _get("user_info", "users/{pk}/info/", reads.user_by_pk, "user_not_found"),
    _get("media_info", "media/{media_id}/info/", reads.media_info, "media_not_found"),
    _get("comments", "media/{media_id}/comments/", reads.comments, "media_not_found"),
    _get("followers", "friendships/{pk}/followers/", reads.followers, "user_not_found"),
    _get("following", "friendships/{pk}/following/", reads.following, "user_not_found"),
    _get("get_by_participants", "direct_v2/threads/get_by_participants/", reads.by_participants),
    _get("thread", "direct_v2/threads/{thread_id}/", reads.thread, "thread_not_found"),
    _get("inbox", "direct_v2/inbox/", reads.inbox),
    _get("pending_inbox", "direct_v2/pending_inbox/", reads.pending_inbox),
    _post("reels_tray", "feed/reels_tray/", reads.reels_tray),
    _post("timeline", "feed/timeline/", reads.timeline),
)

_WRITES = (
    _post(
        "broadcast_text",
        "direct_v2/threads/broadcast/text/",
        writes.send_text,
        "invalid_target_user",
    ),
    _post(
        "broadcast_link",
        "direct_v2/threads/broadcast/link/",
        writes.send_link,
        "invalid_target_user",
    ),
    _route(
        "rupload_photo", "POST", "/messenger_image/{name}", require_session(writes.upload_photo)
    ),
    _post(
        "broadcast_photo",
        "direct_v2/threads/broadcast/photo_attachment/",
        writes.send_photo,
        "thread_not_found",
    ),
    _post("approve_thread", "direct_v2/threads/{thread_id}/approve/", writes.approve),
    _post("comment", "media/{media_id}/comment/", writes.comment, "media_unavailable"),
    _post("logout", "accounts/logout/", login.log_out),
)

_CHALLENGE_PATH = "challenge/{user_id}/{nonce}/"
_CHALLENGE = (
    _api("challenge_open", "GET", _CHALLENGE_PATH, require_session(challenge_steps.open_step)),
    _api("challenge_submit", "POST", _CHALLENGE_PATH, require_session(challenge_steps.submit_step)),
    _api(
        "challenge_acknowledge",
        "POST",
        "bloks/apps/com.instagram.challenge.navigation.take_challenge/",
        require_session(challenge_steps.acknowledge),
    ),
)

ROUTES = (*_BEFORE_LOGIN, *_TWO_STEP, *_READS, *_WRITES, *_CHALLENGE)
