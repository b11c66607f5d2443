"""Login: the current Android flow (CAA, over Bloks), its two second factors, the legacy flow.

Replies have the form that `BloksMixin` and `LoginMixin` of aiograpi 2.1.2 read (mixins/bloks.py,
mixins/auth.py).
"""

from __future__ import annotations

import base64
import json
import secrets

from deploy.local.instagram import views
from deploy.local.instagram.http import Json, Reply, Request
from deploy.local.instagram.login_refusals import (
    PlannedRefusal,
    in_bloks,
    silent_screen,
)
from deploy.local.instagram.passwords import totp_matches
from deploy.local.instagram.replies import ok, refuse
from deploy.local.instagram.state import State
from deploy.local.instagram.users import Account

_AP = "com.bloks.www.ap.two_step_verification"


def register_usdid(_world: State, request: Request) -> Reply:
    """Accept the device's signing key; other mutations of this endpoint are not supported."""
    if request.form.get("fb_api_req_friendly_name") != "IGUSDIDRegistrationMutation":
        return refuse("not_found")
    return ok(data={"1$usdid_registration(input:$input)": {"success": True}})


def process_client_data(_world: State, _request: Request) -> Reply:
    """Open the login screen: return the account access context."""
    context = {"key": "CAA_ACCOUNT_ACCESS_CONTEXT:aac", "initial": secrets.token_urlsafe(24)}
    reply = _bloks(data=[{"data": context}])
    return Reply(reply.status, reply.body, (("ig-set-x-mid", secrets.token_urlsafe(21)),))


def attest(_world: State, _request: Request) -> Reply:
    """Return the nonces for the attestation header."""
    return ok(challenge_nonce=secrets.token_urlsafe(24), key_nonce=secrets.token_urlsafe(24))


def fetch_token(_world: State, _request: Request) -> Reply:
    """The preflight before the password; changes nothing."""
    return _bloks()


def sync_launcher(_world: State, _request: Request) -> Reply:
    """The legacy flow's preflight; changes nothing."""
    return ok(configs={})


def password_key(state: State, _request: Request) -> Reply:
    """Return the public key that passwords are encrypted with."""
    key = state.password_key
    headers = (
        ("ig-set-password-encryption-key-id", str(key.id)),
        ("ig-set-password-encryption-pub-key", key.public_header),
    )
    return Reply(200, {"status": "ok"}, headers)


def log_in(state: State, request: Request) -> Reply:
    """Check username and password, then request the second factor the account needs.

    After a wrong password the client falls back to the legacy flow, whose reply names the reason.
    """
    username = str(request.bloks.get("contact_point", ""))
    envelope = str(request.bloks.get("password", ""))
    account = state.account(username)
    planned = _planned_refusal(state, username)
    if planned is not None:
        _record(state, request, username, "caa", planned.refusal)
        return _refuse_login(planned)
    if account is None or state.password_key.open(envelope) != account.password:
        _record(state, request, username, "caa", "bad_password" if account else "unknown_user")
        return _fall_back()
    if account.totp_seed is not None:
        _record(state, request, username, "caa", "two_factor_required")
        context = state.sessions.suspend_login(account)
        return _bloks(data=[{"data": {"two_step_verification_context": context}}])
    if account.profile_code is not None:
        _record(state, request, username, "caa", "challenge_required")
        context = state.sessions.suspend_login(account)
        return _screen(f"{_AP}.entrypoint_async", context)
    return _welcome(state, request, account, "caa")


def log_in_legacy(state: State, request: Request) -> Reply:
    """The legacy flow: names what is wrong, and logs in accounts without a second factor."""
    username = str(request.form.get("username", ""))
    account = state.account(username)
    planned = _refusal_of_login(state, username)
    if planned is not None:
        _record(state, request, username, "legacy", planned.refusal)
        return refuse(planned.refusal)
    if account is None:
        _record(state, request, username, "legacy", "unknown_user")
        return refuse("proxy_blocked")
    if state.password_key.open(str(request.form.get("enc_password", ""))) != account.password:
        _record(state, request, username, "legacy", "bad_password")
        return refuse("bad_password")
    if account.totp_seed is not None or account.profile_code is not None:
        _record(state, request, username, "legacy", "challenge_required")
        return refuse("challenge_required")
    _record(state, request, username, "legacy", "ok")
    headers = (("ig-set-authorization", _bearer(state, account)),)
    return Reply(200, {"logged_in_user": views.user_short(account.user), "status": "ok"}, headers)


def two_step_screen(_world: State, _request: Request) -> Reply:
    """A screen before the TOTP code; changes nothing."""
    return _bloks()


def verify_totp(state: State, request: Request) -> Reply:
    """Check the TOTP code; a wrong one gets a screen without a session."""
    context = str(request.bloks.get("two_step_verification_context", ""))
    account = state.sessions.unfinished(context)
    if account is None or account.totp_seed is None:
        return _bloks()
    if not totp_matches(account.totp_seed, str(request.bloks.get("code", ""))):
        _record(state, request, account.username, "totp", "wrong_code")
        return _bloks()
    state.sessions.finish_login(context)
    return _welcome(state, request, account, "totp")


def profile_code_entrypoint(_world: State, request: Request) -> Reply:
    """Open the screen for the code from the e-mail."""
    return _screen(f"{_AP}.code_entry", str(request.bloks.get("context_data", "")))


def profile_code_entry(_world: State, request: Request) -> Reply:
    """The screen for the code from the e-mail."""
    return _screen(f"{_AP}.code_entry_async", str(request.bloks.get("context_data", "")))


def verify_profile_code(state: State, request: Request) -> Reply:
    """Check the code from the e-mail; after a right one, none is required any more."""
    context = str(request.bloks.get("context_data", ""))
    account = state.sessions.unfinished(context)
    if account is None:
        return _bloks()
    if str(request.bloks.get("code", "")) != account.profile_code:
        _record(state, request, account.username, "profile_code", "wrong_code")
        return _bloks()
    state.sessions.finish_login(context)
    account.profile_code = None
    state.challenges.end(account)
    return _welcome(state, request, account, "profile_code")


def log_out(state: State, account: Account, _request: Request) -> Reply:
    """Expire the account's sessions."""
    state.sessions.expire(account.username)
    return ok()


def _refusal_of_login(state: State, username: str) -> PlannedRefusal | None:
    """The refusal of a login that has begun: the planned one, or the challenge's."""
    planned = state.login_refusals.last(username)
    if planned is not None:
        return planned
    challenged = state.challenges.refusal_of_login(username)
    return None if challenged is None else PlannedRefusal(challenged, "legacy", None)


def _planned_refusal(state: State, username: str) -> PlannedRefusal | None:
    state.login_refusals.begin(username)
    return _refusal_of_login(state, username)


def _refuse_login(planned: PlannedRefusal) -> Reply:
    if planned.channel == "legacy":
        return _fall_back()
    if planned.channel == "caa":
        return refuse(planned.refusal)
    if planned.channel == "silent":
        return _bloks(**silent_screen())
    return _bloks(**in_bloks(refuse(planned.refusal)))


def _fall_back() -> Reply:
    """Send the client to the legacy flow (instagrapi PR 2803)."""
    return _bloks(data=[{"data": {"key": "CAA_LOGIN_FALLBACK:login", "initial": "1"}}])


def _record(state: State, request: Request, username: str, via: str, outcome: str) -> None:
    state.sessions.record_login(username, via, outcome, request.device)


def _welcome(state: State, request: Request, account: Account, via: str) -> Reply:
    """Open a session and wrap it as Bloks does: JSON strings in a JSON string in a program."""
    _record(state, request, account.username, via, "ok")
    login_response = {"logged_in_user": views.user_short(account.user), "status": "ok"}
    headers = {
        "IG-Set-Authorization": _bearer(state, account),
        "ig-set-ig-u-rur": f"RVA,{account.user.pk}",
        "x-ig-set-www-claim": "hmac." + secrets.token_urlsafe(24),
    }
    document = json.dumps(
        {
            "login_response": json.dumps(login_response),
            "headers": json.dumps(headers),
            "cookies": f"Set-Cookie: csrftoken={secrets.token_hex(16)}; Path=/",
        }
    )
    return _bloks(action=f"(bk.action.caa.HandleLoginResponse {json.dumps(document)})")


def _bearer(state: State, account: Account) -> str:
    if state.behavior.one_session:
        state.sessions.expire(account.username, "user_has_logged_out")
    # A login after the app's OK is what the challenge was for.
    state.challenges.end(account)
    claims = {
        "ds_user_id": str(account.user.pk),
        "sessionid": state.sessions.open(account),
        "should_use_header_over_cookies": True,
    }
    return "Bearer IGT:2:" + base64.b64encode(json.dumps(claims).encode()).decode()


def _screen(app: str, context: str) -> Reply:
    """A Bloks program that opens another screen and passes it the context."""
    parameters = f'(f4i (dkc "context_data") (dkc {json.dumps(context)}))'
    return _bloks(action=f"(bk.action.bloks.OpenScreen {json.dumps(app)} {parameters})")


def _bloks(**payload: Json | list[Json] | str) -> Reply:
    return ok(layout={"bloks_payload": payload})
