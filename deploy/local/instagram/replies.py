"""Instagram's refusals by name, with the exception that aiograpi 2.1.2 raises for each.

The mapping from reply to exception is `PrivateRequestMixin._send_private_request` (aiograpi,
mixins/private.py). Some calls narrow it further, so each entry names a call it is typical of. The
refusals of one subject (recipients' settings, logins ...) are in its own module.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from deploy.local.instagram.challenges import CHALLENGE_REFUSALS
from deploy.local.instagram.comment_settings import COMMENT_REFUSALS
from deploy.local.instagram.content_filters import CONTENT_REFUSALS
from deploy.local.instagram.http import Reply
from deploy.local.instagram.login_refusals import LOGIN_REFUSALS
from deploy.local.instagram.outages import OUTAGES
from deploy.local.instagram.recipient_settings import RECIPIENT_REFUSALS
from deploy.local.instagram.refusal import Refusal, challenge, fail
from deploy.local.instagram.session_ends import SESSION_ENDS

_DM = "broadcast_text"
_SPAM = {
    "feedback_title": "Try Again Later",
    "feedback_message": "We limit how often you can do certain things on Instagram.",
}
_PLEASE_WAIT = "Please wait a few minutes before you try again."
_NO_REQUESTS = (
    "This person can't receive your message because they don't allow new message requests."
)

REFUSALS: Final[Mapping[str, Refusal]] = {
    # Slow down
    "please_wait": Refusal(fail(429, _PLEASE_WAIT), _DM, "PleaseWaitFewMinutes"),
    "throttled": Refusal(fail(429), _DM, "ClientThrottledError"),
    "rate_limit": Refusal(fail(400, error_type="rate_limit_error"), _DM, "RateLimitError"),
    "sentry_block": Refusal(fail(400, error_type="sentry_block"), _DM, "SentryBlock"),
    "feedback_required": Refusal(fail(400, "feedback_required", **_SPAM), _DM, "FeedbackRequired"),
    "spam": Refusal(fail(400, "feedback_required", spam=True, **_SPAM), _DM, "FeedbackRequired"),
    # A person must act
    "challenge_required": Refusal(
        fail(400, "challenge_required", challenge=challenge("/challenge/1/abc/")),
        _DM,
        "ChallengeRequired",
    ),
    "masked_challenge": Refusal(Reply(404, content=b"Not Found"), "comments", "ChallengeRequired"),
    "account_suspended": Refusal(
        fail(400, "challenge_required", challenge=challenge("/accounts/suspended/")),
        _DM,
        "AccountSuspended",
    ),
    "checkpoint_required": Refusal(
        fail(400, "checkpoint_required", checkpoint_url="https://i.instagram.com/challenge/"),
        _DM,
        "CheckpointRequired",
    ),
    "consent_required": Refusal(fail(400, "consent_required"), _DM, "ConsentRequired"),
    "geoblock_required": Refusal(fail(400, "geoblock_required"), _DM, "GeoBlockRequired"),
    "needs_upgrade": Refusal(
        fail(400, "Update Instagram to continue.", error_type="needs_upgrade"),
        "login",
        "ClientNeedsUpgradeError",
    ),
    "two_factor_required": Refusal(
        fail(400, error_type="two_factor_required"), "login", "TwoFactorRequired"
    ),
    "bad_password": Refusal(
        fail(400, "The password you entered is incorrect.", error_type="bad_password"),
        "login",
        "BadPassword",
    ),
    "proxy_blocked": Refusal(
        fail(400, "The username you entered doesn't appear to belong to an account."),
        "login",
        "ProxyAddressIsBlocked",
    ),
    # Log in again
    "login_required": Refusal(
        fail(403, "login_required", error_title="You've Been Logged Out", logout_reason=8),
        _DM,
        "LoginRequired",
    ),
    "unauthorized": Refusal(fail(401, "Unauthorized"), _DM, "ClientUnauthorizedError"),
    # This recipient or post only
    "user_not_found": Refusal(fail(404, "User not found"), "usernameinfo", "UserNotFound"),
    "user_unavailable": Refusal(
        fail(400, "Error generating user info response"), "user_info", "UserNotFound"
    ),
    "age_restricted": Refusal(
        fail(200, "This account is restricted by age."), "usernameinfo", "IsRegulatedC18Error"
    ),
    "private_account": Refusal(
        fail(400, "Not authorized to view user"), "followers", "PrivateAccount"
    ),
    "invalid_target_user": Refusal(fail(400, "Invalid target user"), _DM, "InvalidTargetUser"),
    "dm_requests_disabled": Refusal(fail(400, _NO_REQUESTS), _DM, "DirectMessageRequestsDisabled"),
    "thread_not_found": Refusal(
        fail(404, "Thread does not exist"), "thread", "DirectThreadNotFound"
    ),
    "media_not_found": Refusal(fail(404, "Media not found"), "media_info", "MediaNotFound"),
    "media_unavailable": Refusal(
        fail(400, "Media not found or unavailable"), "comment", "MediaUnavailable"
    ),
    "media_deleted": Refusal(
        fail(400, "Sorry, this photo has been deleted."), "comment", "MediaUnavailable"
    ),
    "invalid_media_id": Refusal(fail(400, "Invalid media_id"), "comment", "InvalidMediaId"),
    "comment_unavailable": Refusal(
        fail(400, "This comment is unavailable"), "comment", "CommentUnavailable"
    ),
    "comments_disabled": Refusal(
        Reply(200, {"comments_disabled": True, "status": "ok"}), "comment", "CommentsDisabled"
    ),
    # Unclear
    "unknown": Refusal(fail(400, "Something went wrong"), _DM, "UnknownError"),
    "bad_request": Refusal(fail(400), _DM, "ClientBadRequestError"),
    "forbidden": Refusal(fail(403, "Forbidden"), _DM, "ClientForbiddenError"),
    "not_found": Refusal(fail(404, "Not here"), _DM, "ClientNotFoundError"),
    "status_fail": Refusal(fail(200, "Try again later"), _DM, "ClientStatusFail"),
    "error_with_title": Refusal(
        Reply(200, {"error_title": "Not now", "status": "ok"}), _DM, "ClientErrorWithTitle"
    ),
    "server_error": Refusal(fail(500, "Oops, an error occurred."), _DM, "ClientUnknownError"),
    "bad_gateway": Refusal(
        Reply(502, content=b"<html>Bad Gateway</html>"), _DM, "ClientUnknownError"
    ),
    "not_json": Refusal(
        Reply(200, content=b"<!doctype html><title>Instagram</title>"),
        _DM,
        "ClientJSONDecodeError",
    ),
}


ALL_REFUSALS: Final[Mapping[str, Refusal]] = {
    **REFUSALS,
    **RECIPIENT_REFUSALS,
    **COMMENT_REFUSALS,
    **CONTENT_REFUSALS,
    **SESSION_ENDS,
    **CHALLENGE_REFUSALS,
    **LOGIN_REFUSALS,
    **OUTAGES,
}


def refuse(name: str) -> Reply:
    """The reply of a named refusal.

    Raises:
        ValueError: no refusal has that name.
    """
    refusal = ALL_REFUSALS.get(name)
    if refusal is None:
        raise ValueError(f"error {name!r}: unknown; use one of {', '.join(sorted(ALL_REFUSALS))}")
    return refusal.reply


def ok(**fields: Any) -> Reply:
    """A plain success."""
    return Reply(200, {**fields, "status": "ok"})
