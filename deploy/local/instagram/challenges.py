"""What stops an account until a person acts, and each one's way back.

The steps are those of aiograpi's resolver (mixins/challenge.py, `challenge_resolve_simple`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from deploy.local.instagram.http import Json, Reply
from deploy.local.instagram.refusal import Refusal, challenge, fail
from deploy.local.instagram.users import Account

#: What ends a challenge. `resume`: the person's OK in the app; the same session then goes on.
#: `acknowledge`: the OK, then an acknowledgement by the same client (instagrapi issue 2649).
#: `code`: the code, at a login or in the challenge's own step. `login`: the OK, then a new login.
#: `password`: a new password. `never`: nothing that a person can do here.
WayBack = Literal["resume", "acknowledge", "code", "login", "password", "never"]

#: The app's action for a challenge that it shows itself (instagrapi issue 2649).
REDIRECT_ACTION: Final = "com.bloks.www.ig.challenge.redirect.async"
_TAKE_CHALLENGE: Final = "com.instagram.challenge.navigation.take_challenge"
_DM = "broadcast_text"


@dataclass(frozen=True)
class ChallengeKind:
    """One kind of challenge.

    Parameters:
        refusal: the name of the refusal that calls get.
        way_back: what ends it.
        step: the reply to a client that opens the challenge.
        login_refusal: the name of the refusal that logins get, if another one.
    """

    refusal: str
    way_back: WayBack
    step: Json
    login_refusal: str | None = None


def _step(name: str, **data: Any) -> Json:
    return {"step_name": name, "step_data": data, "status": "ok"}


def _app_step(name: str, kind: str, action: str = _TAKE_CHALLENGE, **data: Any) -> Json:
    """A step that the app shows (instagrapi issue 866)."""
    return {
        **_step(name, **data),
        "flow_render_type": 3,
        "bloks_action": action,
        "challenge_context": f'{{"step_name": "{name}", "challenge_type_enum": "{kind}"}}',
        "challenge_type_enum_str": kind,
    }


_EMAIL, _PHONE = "s****p@example.com", "+1 *** ***-**-09"
_CONTACTS = _step("select_verify_method", choice="1", email=_EMAIL)

CHALLENGE_KINDS: Final[Mapping[str, ChallengeKind]] = {
    "email_code": ChallengeKind("challenge_required", "code", _CONTACTS),
    "sms_code": ChallengeKind(
        "challenge_required", "code", _step("verify_phone", phone_number=_PHONE)
    ),
    "was_it_me": ChallengeKind(
        "challenge_native", "resume", _step("delta_login_review", choice="0")
    ),
    # instagrapi issue 1307
    "automated_behavior": ChallengeKind(
        "challenge_native", "resume", _step("scraping_warning", choice="0")
    ),
    "app_approval": ChallengeKind(
        "challenge_native",
        "acknowledge",
        _app_step("STEP_NAME", "REDIRECT", REDIRECT_ACTION),
    ),
    "checkpoint": ChallengeKind("checkpoint_web", "login", _CONTACTS),
    "captcha": ChallengeKind(
        "challenge_native", "never", {"challengeType": "RecaptchaChallengeForm", "status": "ok"}
    ),
    "selfie": ChallengeKind("challenge_native", "never", _step("selfie_captcha")),
    "submit_phone": ChallengeKind(
        "challenge_native", "resume", _app_step("submit_phone", "SMS", phone_number="")
    ),
    "new_password": ChallengeKind(
        "challenge_native", "password", _app_step("change_password", "PASSWORD_RESET")
    ),
    "consent": ChallengeKind("consent_updates", "resume", {"status": "ok"}),
    "terms": ChallengeKind("terms_unblock", "resume", {"status": "ok"}),
    "suspended": ChallengeKind("account_suspended", "never", {"status": "ok"}),
    "disabled": ChallengeKind("login_required", "never", {"status": "ok"}, "login_inactive"),
    "geoblock": ChallengeKind("geoblock_required", "never", {"status": "ok"}),
}

CHALLENGE_REFUSALS: Final[Mapping[str, Refusal]] = {
    # Osintgram issue 1048, dilame/instagram-private-api issue 1637
    "challenge_native": Refusal(
        fail(
            400,
            "challenge_required",
            challenge=challenge("/challenge/1/abc/", native_flow=True, flow_render_type=0),
            error_type="checkpoint_challenge_required",
        ),
        _DM,
        "ChallengeRequired",
    ),
    "challenge_403": Refusal(
        fail(403, "challenge_required", challenge=challenge("/challenge/1/abc/")),
        _DM,
        "ClientForbiddenError",
    ),
    "challenge_200": Refusal(
        fail(200, "challenge_required", challenge=challenge("/challenge/1/abc/")),
        _DM,
        "ClientStatusFail",
    ),
    # The words of `error_type` as the message (LevPasha/Instagram-API-python issue 668)
    "checkpoint_challenge": Refusal(
        fail(400, "checkpoint_challenge_required"), _DM, "UnknownError"
    ),
    # jlobos/instagram-web-api issue 61
    "checkpoint_web": Refusal(
        fail(400, "checkpoint_required", checkpoint_url="/challenge/ABCABC/123123/", lock=False),
        _DM,
        "CheckpointRequired",
    ),
    # dilame/instagram-private-api issue 645
    "consent_updates": Refusal(
        fail(
            400,
            "consent_required",
            consent_data={
                "headline": "Updates to Our Terms and Data Policy",
                "content": "You need to finish reviewing this information before you can use"
                " Instagram.",
                "button_text": "Review Now",
            },
        ),
        _DM,
        "ConsentRequired",
    ),
    # aiograpi, mixins/public.py: the web redirects to /terms/unblock/
    "terms_unblock": Refusal(
        fail(400, "challenge_required", challenge=challenge("/terms/unblock/")),
        _DM,
        "ChallengeRequired",
    ),
}


@dataclass
class Challenge:
    """An account's challenge.

    Parameters:
        code: the code that was sent, for kinds whose way back is a code.
        approved: whether the person has given the OK in the app.
    """

    kind: str
    code: str = ""
    approved: bool = False

    @property
    def rules(self) -> ChallengeKind:
        return CHALLENGE_KINDS[self.kind]


class Challenges:
    """The challenges of all accounts, one each at most."""

    def __init__(self) -> None:
        self._by_username: dict[str, Challenge] = {}

    def start(self, account: Account, kind: str, code: str) -> None:
        """Stop an account; a code is then asked for at its logins as well."""
        self._by_username[account.username] = Challenge(kind, code)
        if CHALLENGE_KINDS[kind].way_back == "code":
            account.profile_code = code

    def of(self, username: str) -> Challenge | None:
        """The account's challenge, if it has one."""
        return self._by_username.get(username)

    def end(self, account: Account) -> None:
        """End the account's challenge, if it has one."""
        ended = self._by_username.pop(account.username, None)
        if ended is not None and ended.rules.way_back == "code":
            account.profile_code = None

    def approve(self, account: Account) -> WayBack:
        """The person gives the OK in the app; returns what is left to do.

        Raises:
            ValueError: the account has no challenge, or its kind has no such way back.
        """
        current = self.of(account.username)
        if current is None:
            raise ValueError(f"account: {account.username} has no challenge")
        way_back = current.rules.way_back
        if way_back in ("never", "password"):
            raise ValueError(f"kind: {current.kind} does not end by an OK in the app")
        current.approved = True
        if way_back != "acknowledge":
            self.end(account)
        return way_back

    def refusal_of_call(self, username: str) -> str | None:
        """The name of the refusal that the account's calls get, or None."""
        current = self.of(username)
        return current.rules.refusal if current else None

    def refusal_of_login(self, username: str) -> str | None:
        """The name of the refusal that the account's logins get, or None."""
        current = self.of(username)
        if current is None or current.approved or current.rules.way_back == "code":
            return None
        return current.rules.login_refusal or current.rules.refusal

    def records(self) -> list[Json]:
        """Every challenge, as the control interface shows it."""
        return [
            {
                "account": username,
                "kind": each.kind,
                "way_back": each.rules.way_back,
                "approved": each.approved,
            }
            for username, each in self._by_username.items()
        ]


def close() -> Reply:
    """The reply to a step that ended the challenge."""
    return Reply(200, {"action": "close", "status": "ok"})
