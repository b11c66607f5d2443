"""What a hold asks of a person: what to do about it, and whether a verification code ends it. Pure.

The codes are those of docs/safety.md. The stored part is written in lua/lib/account_holds.lua.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from service.accounts.verification_codes import CODE_HOLDS
from service.time_formats.timestamps import rfc3339

#: What Instagram said of a challenge, as far as it may be shown: where the account met it (`login`
#: or `call`), its kind and step by Instagram's own names, where a code was sent, masked by
#: Instagram, and its page.
SAID: Final = ("at", "kind", "step", "sent_to", "url")

_RESUME: Final = "POST /accounts/{account}/resume"
_CODE: Final = 'POST /accounts/{account}/challenge {{"code": "..."}}'
_PROXY: Final = f"Correct the proxy of {{account}}, deploy, then {_RESUME}."
_IN_THE_APP: Final = f"Open Instagram as {{account}} and do what it asks for, then {_RESUME}."
_USE_THE_APP: Final = (
    f"Open Instagram as {{account}} and use it for a day, or use another proxy, then {_RESUME}."
)
_APPEAL: Final = f"Open Instagram as {{account}} and appeal; when it works again, {_RESUME}."
_SESSION: Final = (
    "Restore the SECRET_KEY, account name or username from before, or import a session (PUT"
    f" /accounts/{{account}}/session), then {_RESUME}."
)

_REMEDIES: Final[Mapping[str, str]] = {
    "paused": f"{_RESUME} when it may go on.",
    "proxy_auth_required": _PROXY,
    "proxy_refused": _PROXY,
    "proxy_address_blocked": f"Give {{account}} another proxy, deploy, then {_RESUME}.",
    "challenge_required": _IN_THE_APP,
    "two_factor_required": f"{_CODE} with the code of the second factor or a backup code; or set"
    f" totp_seed, deploy, then {_RESUME}.",
    "checkpoint_required": _IN_THE_APP,
    "consent_required": f"Open Instagram as {{account}} and give its consent, then {_RESUME}.",
    "terms_required": f"Open Instagram as {{account}} and accept the terms, then {_RESUME}.",
    "unknown_username": f"Correct the username of {{account}}, or its proxy if the username is"
    f" right, deploy, then {_RESUME}.",
    "bad_password": f"Correct the password of {{account}}, or its proxy if the password is right,"
    f" deploy, then {_RESUME}.",
    "bad_credentials": f"Set the username and password of {{account}}, deploy, then {_RESUME}.",
    "password_reset_required": f"Open Instagram as {{account}} and choose a new password, set and"
    f" deploy it, then {_RESUME}.",
    "facebook_login_required": "Open Instagram as {account} and give it a password of its own, set"
    " and deploy it, or import a session (PUT /accounts/{account}/session); then" + f" {_RESUME}.",
    "sentry_block": _USE_THE_APP,
    "login_blocked": _USE_THE_APP,
    "login_refused": f"Log in to Instagram as {{account}} from the same network, then {_RESUME}; if"
    f" it asks for a code there, {_CODE}.",
    "login_required": f"Log in to Instagram as {{account}} in the app, then {_RESUME}.",
    "unauthorized": f"Open Instagram as {{account}}, log in if it asks to and use it, then"
    f" {_RESUME}.",
    "account_limited": "Open Instagram as {account} and search for the users and posts of its last"
    f" jobs; when they are found, {_RESUME}.",
    "relogin_exceeded": "Open Instagram as {account} and see who ends its sessions, then"
    f" {_RESUME}.",
    "session_unreadable": _SESSION,
    "device_changed": _SESSION,
    "unknown_account": "Deploy the configuration that names {account}, then" + f" {_RESUME}.",
    "geoblock_required": f"Give {{account}} a proxy where it lives, deploy, then {_RESUME}.",
    "account_suspended": _APPEAL,
    "account_disabled": _APPEAL,
    "client_outdated": f"Upgrade Heliograph, then {_RESUME}.",
}
_CODE_WAS_SENT: Final = (
    f"Instagram has sent a code to {{sent_to}}: {_CODE}. If it asks in the app whether it was you,"
    f" confirm there, then {_RESUME}."
)
_CODE_MAY_BE_SENT: Final = (
    f"Open Instagram as {{account}}, or its e-mail and SMS: if there is a code, {_CODE}. If it asks"
    f" whether it was you, confirm, then {_RESUME}."
)

#: Steps that a code answers (aiograpi 2.1.2, mixins/challenge.py, `challenge_resolve_simple`).
_CODE_STEPS: Final = frozenset(
    {
        *("verify_email", "verify_email_code", "select_verify_method"),
        *("verify_phone", "verify_phone_code", "verify_sms", "verify_sms_code"),
        "select_contact_point_recovery",
    }
)
#: Kinds that only the app answers, whatever else is said (the same, `challenge_resolve`).
_APP_KINDS: Final = frozenset({"native", "auth_platform", "RecaptchaChallengeForm"})


def accepts_code(reason: str, said: Mapping[str, str]) -> bool:
    """Whether a verification code can end a hold.

    Parameters:
      reason: The hold's code.
      said: What Instagram said; empty where nothing is known. A code answers a login: a session
        that is still valid needs the app.
    """
    if reason not in CODE_HOLDS or said.get("at", "login") != "login":
        return False
    step = said.get("step", "")
    return said.get("kind") not in _APP_KINDS and (not step or step in _CODE_STEPS)


def remedy(reason: str, account: str, said: Mapping[str, str]) -> str:
    """What a person can do about a hold, in a sentence or two that name the requests to send.

    Parameters:
      reason: The hold's code; of one that only a newer release knows, the app is the place to look.
      account: The account's name.
      said: As in `accepts_code`.
    """
    text = _REMEDIES.get(reason, _IN_THE_APP)
    if reason == "challenge_required" and accepts_code(reason, said):
        text = _CODE_WAS_SENT if said.get("sent_to") else _CODE_MAY_BE_SENT
    return text.format(account=account, sent_to=said.get("sent_to", ""))


def what_it_asks(reason: str, account: str, said: Mapping[str, str]) -> dict[str, Any]:
    """What a hold asks of a person; parameters as in `remedy`."""
    code = accepts_code(reason, said)
    return {"remedy": remedy(reason, account, said), "accepts_code": code}


def hold_view(account: str, fields: Mapping[str, str]) -> dict[str, Any] | None:
    """An account's hold as the API shows it; None if it has none.

    Parameters:
      account: The account's name.
      fields: The account's hash.
    """
    reason = fields.get("hold")
    if not reason:
        return None
    job_id, said = _met(fields)
    return {
        "reason": reason,
        "note": fields.get("hold_note") or None,
        "since": rfc3339(int(fields.get("hold_since", "0"))),
        **what_it_asks(reason, account, said),
        "job_id": job_id,
        "instagram": {name: said.get(name) for name in SAID} if said else None,
    }


def _met(fields: Mapping[str, str]) -> tuple[str | None, dict[str, str]]:
    """Which job met the hold, and what Instagram said.

    An older release knows nothing of this field: of a hold that it made, the field is another's.
    """
    since, _, rest = fields.get("hold_met", "").partition(" ")
    if not since or since != fields.get("hold_since"):
        return None, {}
    job_id, _, said = rest.partition(" ")
    return job_id, json.loads(said or "{}")
