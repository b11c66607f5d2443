"""Logging in: the current Android flow (CAA, over Bloks), its two second factors, and the old one.

The shapes are those `BloksMixin` and `LoginMixin` of aiograpi 2.1.2 read (mixins/bloks.py,
mixins/auth.py).
"""

from __future__ import annotations

import base64
import json
import secrets

from deploy.local.instagram import views
from deploy.local.instagram.http import Json, Reply, Request
from deploy.local.instagram.passwords import totp_matches
from deploy.local.instagram.replies import ok, refuse
from deploy.local.instagram.state import State
from deploy.local.instagram.users import Account

_AP = "com.bloks.www.ap.two_step_verification"


def register_usdid(_world: State, request: Request) -> Reply:
    """Accept the device's signing key; the other mutations of this address are not known."""
    if request.form.get("fb_api_req_friendly_name") != "IGUSDIDRegistrationMutation":
        return refuse("not_found")
    return ok(data={"1$usdid_registration(input:$input)": {"success": True}})


def process_client_data(_world: State, _request: Request) -> Reply:
    """Open the login screen: hand out the account access context."""
    context = {"key": "CAA_ACCOUNT_ACCESS_CONTEXT:aac", "initial": secrets.token_urlsafe(24)}
    reply = _bloks(data=[{"data": context}])
    return Reply(reply.status, reply.body, (("ig-set-x-mid", secrets.token_urlsafe(21)),))


def attest(_world: State, _request: Request) -> Reply:
    """Hand out the nonce of the attestation header."""
    return ok(challenge_nonce=secrets.token_urlsafe(24), key_nonce=secrets.token_urlsafe(24))


def fetch_token(_world: State, _request: Request) -> Reply:
    """The preflight before the password; it changes nothing."""
    return _bloks()


def sync_launcher(_world: State, _request: Request) -> Reply:
    """The old flow's preflight; it changes nothing."""
    return ok(configs={})


def password_key(world: State, _request: Request) -> Reply:
    """Hand out the public key that passwords are encrypted with."""
    key = world.password_key
    headers = (
        ("ig-set-password-encryption-key-id", str(key.id)),
        ("ig-set-password-encryption-pub-key", key.public_header),
    )
    return Reply(200, {"status": "ok"}, headers)


def log_in(world: State, request: Request) -> Reply:
    """Check name and password, then ask for what else the account needs.

    A wrong password sends the client back to the old flow, whose answer names the reason.
    """
    username = str(request.bloks.get("contact_point", ""))
    envelope = str(request.bloks.get("password", ""))
    account = world.account(username)
    if account is None or world.password_key.open(envelope) != account.password:
        _record(world, request, username, "caa", "bad_password" if account else "unknown_user")
        return _bloks(data=[{"data": {"key": "CAA_LOGIN_FALLBACK:login", "initial": "1"}}])
    if account.totp_seed is not None:
        _record(world, request, username, "caa", "two_factor_required")
        context = world.sessions.suspend_login(account)
        return _bloks(data=[{"data": {"two_step_verification_context": context}}])
    if account.profile_code is not None:
        _record(world, request, username, "caa", "challenge_required")
        context = world.sessions.suspend_login(account)
        return _screen(f"{_AP}.entrypoint_async", context)
    return _welcome(world, request, account, "caa")


def log_in_legacy(world: State, request: Request) -> Reply:
    """The old flow: it says what is wrong, and lets in who needs no second factor."""
    username = str(request.form.get("username", ""))
    account = world.account(username)
    if account is None:
        _record(world, request, username, "legacy", "unknown_user")
        return refuse("proxy_blocked")
    if world.password_key.open(str(request.form.get("enc_password", ""))) != account.password:
        _record(world, request, username, "legacy", "bad_password")
        return refuse("bad_password")
    if account.totp_seed is not None or account.profile_code is not None:
        _record(world, request, username, "legacy", "challenge_required")
        return refuse("challenge_required")
    _record(world, request, username, "legacy", "ok")
    headers = (("ig-set-authorization", _bearer(world, account)),)
    return Reply(200, {"logged_in_user": views.user_short(account.user), "status": "ok"}, headers)


def two_step_screen(_world: State, _request: Request) -> Reply:
    """A screen on the way to the code of the moment; it changes nothing."""
    return _bloks()


def verify_totp(world: State, request: Request) -> Reply:
    """Check the code of the moment; a wrong one gets a screen without a session."""
    context = str(request.bloks.get("two_step_verification_context", ""))
    account = world.sessions.unfinished(context)
    if account is None or account.totp_seed is None:
        return _bloks()
    if not totp_matches(account.totp_seed, str(request.bloks.get("code", ""))):
        _record(world, request, account.username, "totp", "wrong_code")
        return _bloks()
    world.sessions.finish_login(context)
    return _welcome(world, request, account, "totp")


def profile_code_entrypoint(_world: State, request: Request) -> Reply:
    """Lead on to the screen that takes the code from the e-mail."""
    return _screen(f"{_AP}.code_entry", str(request.bloks.get("context_data", "")))


def profile_code_entry(_world: State, request: Request) -> Reply:
    """The screen that takes the code from the e-mail."""
    return _screen(f"{_AP}.code_entry_async", str(request.bloks.get("context_data", "")))


def verify_profile_code(world: State, request: Request) -> Reply:
    """Check the code from the e-mail; a right one is asked for once."""
    context = str(request.bloks.get("context_data", ""))
    account = world.sessions.unfinished(context)
    if account is None:
        return _bloks()
    if str(request.bloks.get("code", "")) != account.profile_code:
        _record(world, request, account.username, "profile_code", "wrong_code")
        return _bloks()
    world.sessions.finish_login(context)
    account.profile_code = None
    return _welcome(world, request, account, "profile_code")


def log_out(world: State, account: Account, _request: Request) -> Reply:
    """End the account's sessions."""
    world.sessions.expire(account.username)
    return ok()


def _record(world: State, request: Request, username: str, via: str, outcome: str) -> None:
    world.sessions.record_login(username, via, outcome, request.device)


def _welcome(world: State, request: Request, account: Account, via: str) -> Reply:
    """A session, wrapped as Bloks wraps it: JSON strings inside a JSON string in a program."""
    _record(world, request, account.username, via, "ok")
    login_response = {"logged_in_user": views.user_short(account.user), "status": "ok"}
    headers = {
        "IG-Set-Authorization": _bearer(world, account),
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


def _bearer(world: State, account: Account) -> str:
    claims = {
        "ds_user_id": str(account.user.pk),
        "sessionid": world.sessions.open(account),
        "should_use_header_over_cookies": True,
    }
    return "Bearer IGT:2:" + base64.b64encode(json.dumps(claims).encode()).decode()


def _screen(app: str, context: str) -> Reply:
    """A program that opens another screen, with the context it is to be given."""
    parameters = f'(f4i (dkc "context_data") (dkc {json.dumps(context)}))'
    return _bloks(action=f"(bk.action.bloks.OpenScreen {json.dumps(app)} {parameters})")


def _bloks(**payload: Json | list[Json] | str) -> Reply:
    return ok(layout={"bloks_payload": payload})
