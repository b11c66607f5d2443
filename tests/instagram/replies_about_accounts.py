"""What Instagram replies when the account itself is the trouble, at whatever status."""

from __future__ import annotations

from typing import Any, Final

from tests.instagram.reply_rows import (
    Expected,
    Row,
    Where,
    before_the_write,
    fail,
    failed,
    feedback,
    held,
    item_ack,
    rests,
)

_CLIENT: Final = "aiograpi 2.1.2, mixins/private.py"
_WAIT: Final = "Please wait a few minutes before you try again."
_PAUSE: Final = rests("please_wait")
_LIMITED: Final = rests("rate_limited")

_WAITS: Final = "LevPasha/Instagram-API-python issue 540"
_BANNED: Final = "mgp25/Instagram-API pull request 885"
_SUSPENDED: Final = "Datalux/Osintgram issue 750"
_CHECKPOINT: Final = "jlobos/instagram-web-api issue 204"
_LOGGED_OUT: Final = "mgp25/Instagram-API issue 2250"
_KINDS: Final = "Datalux/Osintgram issue 1048"
_CONSENT: Final = "dilame/instagram-private-api issue 645"
_SENTRY: Final = "mgp25/Instagram-API issue 802"

_BAN: Final = (
    "Your account has been disabled for violating our terms. Learn how you may be able to restore"
    " your account."
)
_LOCK: Final = {"url": "https://i.instagram.com/challenge/1/x/", "lock": True, "native_flow": True}
_CHALLENGE: Final = fail(
    "challenge_required", challenge=_LOCK, error_type="checkpoint_challenge_required"
)
_SUSPENSION: Final = fail(
    "challenge_required",
    challenge={"url": "https://www.instagram.com/accounts/suspended/", "api_path": "/challenge/"},
)
_AGREE: Final = {
    "headline": "Updates to Our Terms and Data Policy",
    "content": "Please take a moment to review these changes and let us know that you agree.",
    "button_text": "Review Now",
}


def _both(
    name: str, status: int, body: Any, expected: Expected, source: str, where: Where = "dm"
) -> tuple[Row, Row]:
    """The reply to a write, and to the read before a DM."""
    read = before_the_write(expected)
    return (
        Row(name, where, status, body, expected, source),
        Row(f"{name}, at a profile", "profile", status, body, read, source),
    )


RESTS: Final = (
    *_both("wait, 400", 400, fail(_WAIT), _PAUSE, _WAITS),
    *_both("wait, 429", 429, fail(_WAIT), _PAUSE, _WAITS),
    *_both("wait, 403", 403, fail(_WAIT), _PAUSE, "jlobos/instagram-web-api issue 238"),
    *_both("wait, in a 200", 200, fail(_WAIT), _PAUSE, _WAITS, "comment"),
    Row("wait, in an ack", "dm", 403, item_ack(_WAIT), _PAUSE, _WAITS),
    Row("wait, in feedback", "dm", 400, feedback(_WAIT), _PAUSE, _WAITS),
    Row("wait, at a lookup", "lookup", 200, fail(_WAIT), before_the_write(_PAUSE), _WAITS),
    Row("wait, at a thread", "thread", 200, fail(_WAIT), before_the_write(_PAUSE), _WAITS),
    *_both("throttled", 429, fail(""), _LIMITED, "LevPasha/Instagram-API-python issue 753"),
    Row("throttled, null", "dm", 429, fail(None), _LIMITED, _CLIENT),
    Row("throttled, a page", "dm", 429, "<html>429</html>", _LIMITED, _CLIENT),
    Row("throttled, in an ack", "dm", 200, item_ack("no", "429"), _LIMITED, _CLIENT),
    Row("too many", "dm", 400, fail("Too many requests"), _LIMITED, _CLIENT),
    *_both(
        "rate limit",
        400,
        fail("", error_type="rate_limit_error"),
        rests("rate_limit_error"),
        _CLIENT,
    ),
    Row("rate limit, 403", "dm", 403, fail("rate_limit_error"), rests("rate_limit_error"), _CLIENT),
    *_both(
        "sentry",
        400,
        fail("Sorry, there was a problem with your request.", error_type="sentry_block"),
        rests("sentry_block"),
        _SENTRY,
    ),
    Row(
        "sentry, 403",
        "dm",
        403,
        fail("x", error_type="sentry_block"),
        rests("sentry_block"),
        _SENTRY,
    ),
)

HOLDS: Final = (
    *_both("challenge", 400, _CHALLENGE, held("challenge_required"), _KINDS),
    *_both("challenge, 403", 403, _CHALLENGE, held("challenge_required"), _KINDS, "comment"),
    Row("challenge, in a 200", "dm", 200, _CHALLENGE, held("challenge_required"), _KINDS),
    Row(
        "challenge, bare",
        "dm",
        403,
        fail("checkpoint_challenge_required"),
        held("challenge_required"),
        "instautils/instagraph issue 3",
    ),
    Row(
        "challenge, in an ack",
        "dm",
        403,
        item_ack("challenge_required"),
        held("challenge_required"),
        _KINDS,
    ),
    *_both("suspended", 400, _SUSPENSION, held("account_suspended"), _SUSPENDED),
    Row("suspended, 403", "comment", 403, _SUSPENSION, held("account_suspended"), _SUSPENDED),
    *_both(
        "disabled", 400, fail(_BAN, error_type="inactive user"), held("account_suspended"), _BANNED
    ),
    Row("disabled, 403", "dm", 403, fail(_BAN), held("account_suspended"), _BANNED),
    Row(
        "inactive",
        "dm",
        400,
        fail("x", error_type="inactive_user"),
        held("account_suspended"),
        _BANNED,
    ),
    *_both(
        "checkpoint",
        400,
        fail("checkpoint_required", checkpoint_url="/challenge/1/x/", lock=False),
        held("checkpoint_required"),
        _CHECKPOINT,
    ),
    Row(
        "checkpoint, 403",
        "comment",
        403,
        fail("checkpoint_required"),
        held("checkpoint_required"),
        _CHECKPOINT,
    ),
    Row(
        "checkpoint, 200",
        "dm",
        200,
        fail("checkpoint_required"),
        held("checkpoint_required"),
        _CHECKPOINT,
    ),
    Row(
        "checkpoint, logged out",
        "dm",
        400,
        fail("checkpoint_required", error_type="checkpoint_logged_out", lock=True),
        held("checkpoint_required"),
        _LOGGED_OUT,
    ),
    *_both(
        "consent",
        400,
        fail("consent_required", consent_data=_AGREE),
        held("consent_required"),
        _CONSENT,
    ),
    Row("consent, 403", "dm", 403, fail("consent_required"), held("consent_required"), _CONSENT),
    *_both("elsewhere", 400, fail("geoblock_required"), held("geoblock_required"), _CLIENT),
    Row(
        "elsewhere, 403",
        "comment",
        403,
        fail("geoblock_required"),
        held("geoblock_required"),
        _CLIENT,
    ),
    *_both("outdated", 400, fail("", error_type="needs_upgrade"), held("client_outdated"), _CLIENT),
    Row(
        "outdated, in words",
        "comment",
        400,
        fail("Please update your Instagram app to continue commenting"),
        held("client_outdated"),
        "liamcottle/Instagram-SDK-PHP issue 20",
    ),
    Row("terms", "dm", 403, fail("Please agree to our terms"), held("terms_required"), _CLIENT),
    Row(
        "to a challenge",
        "dm",
        302,
        "",
        held("challenge_required"),
        _CLIENT,
        {"location": "https://i.instagram.com/challenge/?next=/api/v1/"},
    ),
    Row(
        "to the suspension",
        "dm",
        302,
        "",
        held("account_suspended"),
        _SUSPENDED,
        {"location": "https://www.instagram.com/accounts/suspended/"},
    ),
)

_OVER: Final = held("login_required", logins=1, writes=2)
_LOGGED_OUT_WORDS: Final = {"error_title": "You've Been Logged Out", "logout_reason": 8}

#: The session is over, and so is the next one, at once: one login, then a person.
SESSIONS: Final = (
    Row(
        "logged out",
        "dm",
        403,
        fail("login_required", **_LOGGED_OUT_WORDS),
        _OVER,
        "Datalux/Osintgram issue 373",
    ),
    Row(
        "logged out, 400",
        "comment",
        400,
        fail("login_required", logout_reason=2),
        _OVER,
        "ramtinak/InstagramApiSharp issue 116",
    ),
    Row(
        "logged out, 401",
        "dm",
        401,
        fail("login_required"),
        _OVER,
        "mgp25/Instagram-API issue 1743",
    ),
    Row(
        "logged out, 200",
        "dm",
        200,
        fail("login_required"),
        _OVER,
        "mgp25/Instagram-API issue 1743",
    ),
    Row(
        "has logged out",
        "dm",
        403,
        fail("user_has_logged_out"),
        _OVER,
        "dilame/instagram-private-api issue 1602",
    ),
    Row(
        "wait, with a session that is alive",
        "dm",
        401,
        fail(_WAIT, require_login=True),
        _PAUSE,
        "Datalux/Osintgram issue 1095",
    ),
    Row(
        "a recipient, at 401",
        "dm",
        401,
        fail("User is blocked"),
        failed("messages_refused"),
        _CLIENT,
    ),
)

ROWS: Final = (*RESTS, *HOLDS, *SESSIONS)
