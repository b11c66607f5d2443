"""What Instagram replies to a login that it refuses, and what must become of the account.

Bodies are as they were seen in public, at the places that each row names; personal parts are
replaced.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

Account = Literal["held", "cooling_down"]

_AIOGRAPI: Final = "aiograpi 2.1.2 mixins/private.py"
_DISMISS: Final = [{"title": "Try Again", "action": "dismiss"}]
_CHALLENGE_URL: Final = "https://i.instagram.com/challenge/AbC/dEf/"
_WAIT: Final = "Please wait a few minutes before you try again."


@dataclass(frozen=True)
class LoginReply:
    """One reply to a password.

    Parameters:
      name: Names the row.
      status: HTTP status.
      body: A JSON body, or text.
      code: The hold or cooldown that must follow.
      source: Where it was seen.
      account: What the account must be.
      said: A part of what the hold must tell a person.
    """

    name: str
    status: int
    body: dict[str, Any] | list[Any] | str
    code: str
    source: str
    account: Account = "held"
    said: str = ""


def _fail(message: Any = None, error_type: str | None = None, **fields: Any) -> dict[str, Any]:
    body = {"message": message, "status": "fail", "error_type": error_type, **fields}
    return {name: value for name, value in body.items() if value is not None}


def _bloks(action: str) -> dict[str, Any]:
    """A Bloks reply without a session, as the current login gives them."""
    return {"layout": {"bloks_payload": {"data": [], "action": action}}, "status": "ok"}


def _dialog(title: str, text: str) -> dict[str, Any]:
    quoted = text.replace("'", "\\u2019")
    return _bloks(
        f'(bk.action.core.TakeLast (bk.action.bloks.OpenDialog "{title}" "{quoted}" "OK"))'
    )


LOGIN_REPLIES: Final = (
    LoginReply(
        "wrong password",
        400,
        _fail(
            "The password you entered is incorrect. Please try again.",
            "bad_password",
            invalid_credentials=True,
            error_title="Incorrect password for shop",
            buttons=_DISMISS,
        ),
        "bad_password",
        "LevPasha/Instagram-API-python issue 491",
    ),
    LoginReply(
        "wrong password by its type alone",
        400,
        _fail(error_type="bad_password"),
        "bad_password",
        _AIOGRAPI,
    ),
    LoginReply(
        "wrong password, in other words",
        400,
        _fail("The Password entered is incorrect."),
        "bad_password",
        "JRoy/InstagramLive-PHP issue 130",
    ),
    LoginReply(
        "wrong password or username",
        400,
        _fail("The login information you entered is incorrect. Find your account and log in."),
        "bad_password",
        "the words that browser automations of Instagram's login look for",
    ),
    LoginReply(
        "unknown username",
        400,
        _fail(
            "The username you entered doesn't appear to belong to an account. Please check your"
            " username and try again.",
            "invalid_user",
            error_title="Incorrect username",
            buttons=_DISMISS,
            invalid_credentials=True,
            exception_name="UserInvalidCredentials",
        ),
        "unknown_username",
        "Datalux/Osintgram issue 895",
        said="'shop'",
    ),
    LoginReply(
        "username not found",
        400,
        _fail(
            "We couldn\u2019t find an account with the username shop. Check the username you"
            " entered and try again.",
            error_title="Username Not Found",
            invalid_credentials=True,
            exception_name="UserInvalidCredentials",
            buttons=[*_DISMISS, {"title": "Recover", "action": "show_recovery_challenge"}],
        ),
        "unknown_username",
        "dilame/instagram-private-api pull request 1774",
        said="'shop'",
    ),
    LoginReply(
        "old words for an unknown username",
        400,
        _fail(
            "The username you entered doesn't belong to an account. Please check your username"
            " and try again"
        ),
        "unknown_username",
        "instagram4j/instagram4j issue 156",
        said="'shop'",
    ),
    LoginReply(
        "disabled account",
        400,
        _fail(
            "Your account has been disabled for violating our terms. Learn how you may be able"
            " to restore your account.",
            "inactive user",
            help_url="https://help.instagram.com/521372114683554",
            buttons=[{"title": "Appeal", "action": "go_to_helper_url"}],
        ),
        "account_disabled",
        "huynhsontung/Indirect issue 55",
        said="Appeal",
    ),
    LoginReply(
        "suspended account",
        400,
        _fail(
            "challenge_required",
            challenge={"url": "https://i.instagram.com/accounts/suspended/?next=x", "lock": True},
        ),
        "account_suspended",
        _AIOGRAPI,
    ),
    LoginReply(
        "blocked address",
        400,
        _fail(
            "The username you entered doesn't appear to belong to an account. Please check your"
            " username and try again.",
            "ip_block",
        ),
        "proxy_address_blocked",
        "mgp25/Instagram-API issue 3114; Datalux/Osintgram issue 521",
        said="proxy",
    ),
    LoginReply(
        "sentry block",
        400,
        _fail("Sorry, there was a problem with your request.", "sentry_block"),
        "sentry_block",
        "mgp25/Instagram-API issue 721",
    ),
    LoginReply(
        "sentry block by its words alone",
        400,
        _fail("Sorry, there was a problem with your request."),
        "sentry_block",
        "mgp25/Instagram-API issue 1925",
    ),
    LoginReply(
        "password that was reset",
        400,
        _fail(
            'To secure your account, we\'ve reset your password. Tap "Get help signing in" on the'
            " login screen and follow the instructions to access your account.",
            "unusable_password",
        ),
        "password_reset_required",
        "LevPasha/Instagram-API-python issue 403",
        said="new password",
    ),
    LoginReply(
        "compromised account",
        400,
        _fail("Your account was compromised. Please change your password to continue."),
        "password_reset_required",
        "LevPasha/Instagram-API-python issue 668",
    ),
    LoginReply(
        "Facebook-linked account",
        400,
        _fail(
            "You can log in with your linked Facebook account.",
            "bad_password",
            buttons=[{"title": "Use Facebook", "action": "login_with_facebook"}, *_DISMISS],
        ),
        "facebook_login_required",
        "agent-messenger/agent-messenger pull request 275",
        said="password of its own",
    ),
    LoginReply(
        "no Facebook contact point",
        400,
        _fail(
            "You can log into Instagram with your username or create a new account.",
            "fb_no_contact_point_found",
        ),
        "facebook_login_required",
        "charlieAndroidDev/Instagram4Android issue 77",
    ),
    LoginReply(
        "second factor",
        400,
        _fail(
            "",
            "two_factor_required",
            two_factor_required=True,
            two_factor_info={"username": "shop", "sms_two_factor_on": True},
        ),
        "two_factor_required",
        "tnychn/instascrape issue 17",
    ),
    LoginReply(
        "code that is no longer valid",
        400,
        _fail("This code is no longer valid. Please request a new one.", "invalid_nonce"),
        "two_factor_required",
        "mgp25/Instagram-API issue 2632",
        said="did not accept the verification code",
    ),
    LoginReply(
        "wrong security code",
        400,
        _fail("Please check the security code and try again.", "sms_code_validation_code_invalid"),
        "two_factor_required",
        "JRoy/InstagramLive-PHP issue 51",
    ),
    LoginReply(
        "checkpoint",
        400,
        _fail(
            "checkpoint_required",
            lock=True,
            checkpoint_url="https://i.instagram.com/integrity/checkpoint/checkpoint_logged_out_main/",
        ),
        "checkpoint_required",
        "mgp25/Instagram-API issue 379",
    ),
    LoginReply(
        "checkpoint after a logout",
        400,
        _fail("checkpoint_required", "checkpoint_logged_out", lock=True),
        "checkpoint_required",
        "mgp25/Instagram-API issue 595",
    ),
    LoginReply(
        "checkpoint of the web",
        403,
        _fail(
            "checkpoint_required", checkpoint_url="/challenge/12061502575/atwWXYmeVP/", lock=False
        ),
        "checkpoint_required",
        "NightfallGT/IG-Sniper issue 4",
    ),
    LoginReply(
        "challenge",
        400,
        _fail(
            "challenge_required",
            "checkpoint_challenge_required",
            challenge={"url": _CHALLENGE_URL, "api_path": "/challenge/AbC/dEf/", "lock": True},
        ),
        "challenge_required",
        "Datalux/Osintgram issue 2578",
    ),
    LoginReply(
        "challenge at another status",
        403,
        _fail("challenge_required", challenge={"url": _CHALLENGE_URL}),
        "challenge_required",
        "dilame/instagram-private-api issue 1699, at another status",
    ),
    LoginReply(
        "challenge inside a 200",
        200,
        _fail("challenge_required", challenge={"url": _CHALLENGE_URL}),
        "challenge_required",
        "dilame/instagram-private-api issue 1699, at another status",
    ),
    LoginReply("consent", 400, _fail("consent_required"), "consent_required", _AIOGRAPI),
    LoginReply("geoblock", 400, _fail("geoblock_required"), "geoblock_required", _AIOGRAPI),
    LoginReply(
        "outdated client",
        400,
        _fail(
            "Your version of Instagram is out of date. Please upgrade your app to log in to"
            " Instagram.",
            "needs_upgrade",
        ),
        "client_outdated",
        "subzeroid/instagrapi issue 2773",
        said="Upgrade",
    ),
    LoginReply(
        "session ended at once",
        403,
        _fail(
            "login_required",
            error_title="You've Been Logged Out",
            error_body="Please log back in.",
            logout_reason=8,
        ),
        "login_required",
        "Datalux/Osintgram issue 782",
    ),
    LoginReply(
        "logged out elsewhere",
        400,
        _fail("user_has_logged_out"),
        "login_required",
        "dilame/instagram-private-api src/core/request.ts",
    ),
    LoginReply(
        "rate limit",
        400,
        _fail(_WAIT, "rate_limit_error"),
        "please_wait",
        "Datalux/Osintgram issue 1052",
        account="cooling_down",
    ),
    LoginReply(
        "please wait, with require_login",
        401,
        _fail(_WAIT, require_login=True),
        "please_wait",
        "Datalux/Osintgram issue 1099",
        account="cooling_down",
    ),
    LoginReply(
        "please wait at 403",
        403,
        _fail(_WAIT),
        "please_wait",
        "jlobos/instagram-web-api issue 255",
        account="cooling_down",
    ),
    LoginReply(
        "please wait at 429",
        429,
        _fail(_WAIT),
        "please_wait",
        _AIOGRAPI,
        account="cooling_down",
    ),
    LoginReply(
        "429 without words",
        429,
        "",
        "rate_limited",
        "qxxa/instahunt issue 12",
        account="cooling_down",
    ),
    LoginReply(
        "feedback required",
        400,
        _fail(
            "feedback_required",
            spam=True,
            feedback_title="Sorry, this feature isn't available right now",
            feedback_message="An error occurred while processing this request. Please try again"
            " later. We restrict certain content and actions to protect our community.",
            feedback_action="report_problem",
        ),
        "feedback_required",
        "Datalux/Osintgram issue 154; mgp25/Instagram-API issue 1552",
        account="cooling_down",
    ),
    LoginReply(
        "feedback required, of a signup",
        400,
        _fail("feedback_required", "signup_block", spam=True, feedback_title="Signup Error"),
        "feedback_required",
        "mgp25/Instagram-API issue 1172",
        account="cooling_down",
    ),
    LoginReply(
        "spam alone",
        400,
        _fail("", spam=True),
        "login_blocked",
        "mgp25/Instagram-API issue 1552, without its message",
    ),
    LoginReply(
        "no payload",
        404,
        _fail("Payload returned is null", "field_exception"),
        "login_refused",
        "subzeroid/instagrapi issue 2725",
        said="Payload returned is null",
    ),
    LoginReply(
        "words that nobody knows",
        400,
        _fail("counter get error"),
        "login_refused",
        _AIOGRAPI,
        said="counter get error",
    ),
    LoginReply(
        "no words", 400, {"status": "fail"}, "login_refused", "mgp25/Instagram-API issue 2111"
    ),
    LoginReply(
        "message of null", 400, {"message": None, "status": "fail"}, "login_refused", _AIOGRAPI
    ),
    LoginReply(
        "messages in a list",
        400,
        {"message": ["Incorrect password."], "status": "fail"},
        "bad_password",
        "mgp25/Instagram-API src/Response.php: messages can be lists",
    ),
    LoginReply("nothing but a 404", 404, "Not Found", "login_refused", _AIOGRAPI),
    LoginReply(
        "a page",
        403,
        "<!DOCTYPE html><title>Error</title>",
        "login_refused",
        "dilame/instagram-private-api issue 1641",
    ),
    LoginReply(
        "form again, in Bloks",
        200,
        _bloks('(bk.action.caa.PresentLoginForm (dkc \\"CAA_LOGIN_FORM:account_list\\"))'),
        "login_refused",
        "subzeroid/instagrapi pull request 2803",
    ),
    LoginReply(
        "wrong password, in Bloks",
        200,
        _dialog("Incorrect Password", "The password you entered is incorrect. Please try again."),
        "bad_password",
        "subzeroid/instagrapi issue 2800; words of LevPasha/Instagram-API-python issue 491",
    ),
    LoginReply(
        "unknown username, in Bloks",
        200,
        _dialog("Can't find account", "We can't find an account with shop."),
        "unknown_username",
        "subzeroid/instagrapi issue 2800; words of dilame/instagram-private-api pr 1774",
        said="'shop'",
    ),
    LoginReply(
        "challenge, in Bloks",
        200,
        _bloks('(bk.action.bloks.OpenScreen "com.instagram.challenge.navigation.take_challenge")'),
        "challenge_required",
        "aiograpi 2.1.2 mixins/bloks.py",
    ),
    LoginReply(
        "words that nobody knows, in Bloks",
        200,
        _dialog("Unable to log in", "An unexpected error occurred. Please try logging in again."),
        "login_refused",
        "subzeroid/instagrapi issue 2800",
        said="An unexpected error occurred.",
    ),
    LoginReply(
        "layout of null",
        200,
        {"layout": None, "status": "ok"},
        "login_refused",
        "aiograpi 2.1.2 mixins/bloks.py, which fails on it",
    ),
)
