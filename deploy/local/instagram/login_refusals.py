"""Instagram's replies to a login that it refuses, and the channels they come through.

A refusal of the current flow (CAA) comes as an error, as a Bloks program in a success, or as the
instruction to fall back to the legacy flow, whose reply names the reason (instagrapi PR 2803).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from deploy.local.instagram.http import Json, Reply
from deploy.local.instagram.refusal import Refusal, challenge, fail, feedback

#: `legacy`: the fallback, then the refusal. `caa`: the refusal at once. `bloks`: a Bloks dialog, or
#: for a challenge a checkpoint flow, in a success. `silent`: a Bloks screen without words.
Channel = Literal["legacy", "caa", "bloks", "silent"]
CHANNELS: Final[tuple[Channel, ...]] = ("legacy", "caa", "bloks", "silent")

_NOT_A_USER = (
    "The username you entered doesn't appear to belong to an account."
    " Please check your username and try again."
)


def _login(reply: Reply, raises: str = "UnknownError") -> Refusal:
    return Refusal(reply, "login", raises)


def _credentials(message: str, title: str, **fields: Any) -> Reply:
    """A refused name or password (dilame/instagram-private-api PR 1774)."""
    return fail(
        400,
        message,
        error_title=title,
        invalid_credentials=True,
        exception_name="UserInvalidCredentials",
        buttons=[{"title": "Try Again", "action": "dismiss"}],
        **fields,
    )


LOGIN_REFUSALS: Final[Mapping[str, Refusal]] = {
    # huynhsontung/Indirect issue 55, InstagramApiSharp issue 96
    "login_inactive": _login(
        fail(
            400,
            "Your account has been disabled for violating our terms. Learn how you may be able to"
            " restore your account.",
            error_type="inactive user",
            help_url="https://help.instagram.com/521372114683554",
        )
    ),
    # Osintgram issue 524: the words blame the username
    "login_ip_block": _login(
        fail(400, _NOT_A_USER, error_type="ip_block"), "ProxyAddressIsBlocked"
    ),
    # dilame/instagram-private-api PR 1774
    "login_unknown_username": _login(
        _credentials(_NOT_A_USER, "Incorrect username", error_type="invalid_user"),
        "ProxyAddressIsBlocked",
    ),
    "login_username_not_found": _login(
        _credentials(
            "We couldn't find an account with the username shop. Check the username you entered"
            " and try again.",
            "Username Not Found",
        )
    ),
    # OnFireMohamed/instagram-apis issue 9
    "login_bad_password": _login(
        _credentials(
            "The password you entered is incorrect. Please try again.",
            "Incorrect password",
            error_type="bad_password",
        ),
        "BadPassword",
    ),
    # agent-messenger PR 275: also when the password is right
    "login_facebook": _login(
        fail(
            400,
            "You can log in with your linked Facebook account.",
            error_type="bad_password",
            buttons=[{"title": "Use Facebook", "action": "login_with_facebook"}],
        ),
        "BadPassword",
    ),
    "login_unusable_password": _login(
        fail(
            400,
            "This account does not have a usable password. Reset it to log in.",
            error_type="unusable_password",
        )
    ),
    # Osintgram issue 1053
    "login_rate_limit": _login(
        fail(
            400,
            "Please wait a few minutes before you try again.",
            error_type="rate_limit_error",
        ),
        "PleaseWaitFewMinutes",
    ),
    "login_outdated": _login(
        fail(
            400,
            "You'll need to update Instagram to the latest version before you can use the app.",
            error_type="block_eu_user_login_in_old_app",
        )
    ),
    # mgp25/Instagram-API issue 1237
    "login_sentry_block": _login(
        fail(400, "Sorry, there was a problem with your request.", error_type="sentry_block"),
        "SentryBlock",
    ),
    # The block of mgp25/Instagram-API issue 1552, at a login
    "login_feedback": _login(
        feedback(
            "Sorry, this feature isn't available right now",
            "An error occurred while processing this request. Please try again later.",
            spam=True,
            feedback_action="report_problem",
        ),
        "FeedbackRequired",
    ),
    "login_generic": _login(
        fail(400, "There was an error with your request.", error_type="generic_request_error")
    ),
    # dilame/instagram-private-api, TwoFactorInfo of `IgLoginTwoFactorRequiredError`
    "login_needs_code": _login(
        fail(
            400,
            "",
            two_factor_required=True,
            error_type="two_factor_required",
            two_factor_info={
                "username": "shop",
                "sms_two_factor_on": True,
                "totp_two_factor_on": False,
                "obfuscated_phone_number": "09",
                "two_factor_identifier": "abc",
            },
        ),
        "TwoFactorRequired",
    ),
    # mgp25/Instagram-API issue 1787
    "login_challenge": _login(
        fail(
            400,
            "challenge_required",
            challenge=challenge("/challenge/1/abc/", native_flow=True),
            error_type="checkpoint_challenge_required",
        ),
        "ChallengeRequired",
    ),
    # InstagramApiSharp, InstaLoginResult
    "login_checkpoint": _login(
        fail(
            400,
            "checkpoint_logged_out",
            error_type="checkpoint_logged_out",
            checkpoint_url="https://i.instagram.com/integrity/checkpoint/",
        )
    ),
    # instagrapi issue 2725
    "login_field_exception": _login(
        fail(404, "Payload returned is null", exception_name="field_exception"),
        "ClientNotFoundError",
    ),
    "login_server_error": _login(Reply(502, content=b"<html></html>"), "ClientUnknownError"),
}


@dataclass
class PlannedRefusal:
    """A refusal of an account's next logins.

    Parameters:
        times: how many more logins it applies to; None for all.
    """

    refusal: str
    channel: Channel
    times: int | None


class LoginRefusals:
    """The planned refusals of logins, by username.

    A login is two requests when it falls back to the legacy flow, so it is counted at its begin.
    """

    def __init__(self) -> None:
        self._planned: dict[str, PlannedRefusal] = {}
        self._begun: dict[str, PlannedRefusal | None] = {}

    def plan(self, username: str, refusal: PlannedRefusal | None) -> None:
        """Plan a refusal of this username's logins, or drop the one that is planned."""
        self._planned.pop(username, None)
        self._begun.pop(username, None)
        if refusal is not None:
            self._planned[username] = refusal

    def begin(self, username: str) -> None:
        """Count a login that begins."""
        planned = self._planned.get(username)
        if planned is None or planned.times == 0:
            self._begun[username] = None
            return
        self._begun[username] = planned
        if planned.times is not None:
            planned.times -= 1

    def last(self, username: str) -> PlannedRefusal | None:
        """The refusal of the login that was begun last, or of one in the legacy flow alone."""
        return self._begun.get(username, self._planned.get(username))


def in_bloks(refusal: Reply) -> Json:
    """A refusal's words as the payload of a Bloks program.

    A challenge is `PresentCheckpointsFlow` with the error's data, anything else a dialog; the forms
    are those that public Bloks parsers look for (mautrix-meta, messagix/bloks).
    """
    body = refusal.body
    if "challenge" in body:
        flow = json.dumps({"error": {"error_user_title": "", "error_data": dict(body)}})
        return {"action": f"(bk.action.caa.PresentCheckpointsFlow {json.dumps(flow)})"}
    title = json.dumps(str(body.get("error_title") or "Unable to log in"))
    words = json.dumps(str(body.get("message") or ""))
    kind = json.dumps(str(body.get("error_type") or "login_error"))
    event = f'(bk.action.logging.LogEvent "caa_login_client_events_ig" "" {kind})'
    dialog = f"(bk.action.tree.Make 0 40 {title} 35 {words})"
    return {
        "action": f"(bk.action.array.Make {event} (ig.action.cdsdialog.OpenDialog {dialog} null))"
    }


def silent_screen() -> Json:
    """A screen without a session or a reason (instagrapi PR 2803, `CAA_LOGIN_FORM`)."""
    return {"data": [{"data": {"key": "CAA_LOGIN_FORM:account_list", "initial": "1"}}]}
