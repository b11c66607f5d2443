"""The table: what each error of the client library means."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

import httpx
import pydantic
from aiograpi import exceptions as ig
from curl_cffi import CurlError

from actors.instagram.ids import InvalidInstagramId
from actors.instagram.options import UnknownAccount
from actors.instagram.reconcile import SearchIncomplete
from actors.instagram.write_deadline import CallOverdueError
from service.accounts.session_store import DeviceChanged, SessionConflict, SessionUnreadable
from service.jobs.claims import Escalation

Scope = Literal["kind", "account"]

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE


class Outcome(StrEnum):
    """What happens next."""

    RETRY = "retry"
    FIX_PROXY = "fix_proxy"
    BACK_OFF = "back_off"
    PERSON = "person"
    RELOGIN = "relogin"
    FINAL = "final"
    LOOK = "look"


@dataclass(frozen=True)
class ErrorDecision:
    """An error, judged.

    Parameters:
      outcome: What happens next.
      code: A stable word for programs.
      message: A sentence or two for people.
      ambiguous: The write may have reached Instagram: look before anything is sent again.
      cooldown_seconds: How long to rest; None where no rest is called for.
      scope: What rests: this kind of action, or the whole account.
      again: What becomes of a rest that follows the last one closely.
    """

    outcome: Outcome
    code: str
    message: str
    ambiguous: bool
    cooldown_seconds: int | None
    scope: Scope
    escalation: Escalation | None = None


@dataclass(frozen=True)
class ErrorPolicy:
    """One row of the table; `doubtful` means that a write that ended so may have been done."""

    outcome: Outcome
    code: str
    message: str
    ambiguous: bool = False
    cooldown_seconds: int | None = None
    scope: Scope = "account"
    remedy: str | None = None
    escalation: Escalation | None = None


REMEDIES: Final = {
    Outcome.RETRY: "It is tried again soon.",
    Outcome.FIX_PROXY: "Correct the account's proxy, then resume the account.",
    Outcome.BACK_OFF: "The account rests before it goes on.",
    Outcome.PERSON: "The account is held until a person has acted and resumed it.",
    Outcome.RELOGIN: "The account logs in again.",
    Outcome.FINAL: "The job ends here; other jobs go on.",
    Outcome.LOOK: "Instagram is read before anything is sent again.",
}


def _retry(code: str, what: str) -> ErrorPolicy:
    return ErrorPolicy(Outcome.RETRY, code, what, ambiguous=True)


def _final(code: str, what: str) -> ErrorPolicy:
    return ErrorPolicy(Outcome.FINAL, code, what)


def _person(code: str, what: str, then: str | None = None) -> ErrorPolicy:
    return ErrorPolicy(Outcome.PERSON, code, what, remedy=then)


def _back_off(
    code: str,
    what: str,
    seconds: int,
    scope: Scope = "account",
    again: Escalation | None = None,
) -> ErrorPolicy:
    return ErrorPolicy(
        Outcome.BACK_OFF, code, what, cooldown_seconds=seconds, scope=scope, escalation=again
    )


def _proxy(code: str, what: str) -> ErrorPolicy:
    return ErrorPolicy(Outcome.FIX_PROXY, code, what)


CONNECTION_FAILED = _retry("connection_failed", "The connection to Instagram failed.")
_TIMEOUT = _retry("timed_out", "Instagram did not answer in time.")
SERVER_ERROR = _retry("server_error", "Instagram had an error of its own.")
_UNREADABLE = _retry("reply_unreadable", "Instagram's reply could not be read.")
_UNEXPECTED = _retry("reply_unexpected", "Instagram's reply was not of the expected form.")
REFUSED_UNCLEAR = _retry("refused_unclear", "Instagram refused without a reason this client knows.")
PROXY_AUTH_REQUIRED = _proxy(
    "proxy_auth_required", "The proxy did not accept its user name and password."
)
PROXY_REFUSED = _proxy("proxy_refused", "The proxy is unreachable or refused the connection.")
_SESSION_OVER = ErrorPolicy(Outcome.RELOGIN, "login_required", "The session is no longer valid.")
_TERMS = _person(
    "terms_required",
    "Instagram wants its terms accepted.",
    "Accept them in the app, then resume the account.",
)
_CHALLENGE = _person(
    "challenge_required",
    "Instagram wants to know that it is really you.",
    "Confirm the login in the app, then resume the account.",
)
LOGIN_REFUSED = _person(
    "login_refused",
    "Instagram refused the login without a reason.",
    "Log in with the app from the same network, then resume the account.",
)
PREFLIGHT_FAILED = _retry("login_preflight_failed", "Instagram did not prepare the login.")
COMMENTS_DISABLED = _final("comments_disabled", "The post does not take comments.")
COMMENT_REFUSED = _final("comment_refused", "Instagram refused this comment.")

#: Looked up by the exception's classes, the nearest first.
POLICIES: Final[dict[type[BaseException], ErrorPolicy]] = {
    # Soon again
    ig.ConnectProxyError: CONNECTION_FAILED,
    ig.ClientConnectionError: CONNECTION_FAILED,
    httpx.HTTPError: CONNECTION_FAILED,
    CurlError: CONNECTION_FAILED,
    OSError: CONNECTION_FAILED,
    httpx.TimeoutException: _TIMEOUT,
    TimeoutError: _TIMEOUT,
    ig.ClientRequestTimeout: _TIMEOUT,
    ig.ClientIncompleteReadError: _retry("reply_incomplete", "Instagram's reply broke off."),
    ig.ClientUnknownError: SERVER_ERROR,
    ig.ClientJSONDecodeError: _UNREADABLE,
    json.JSONDecodeError: _UNREADABLE,
    UnicodeError: _UNREADABLE,
    asyncio.CancelledError: _retry("interrupted", "The call was interrupted."),
    SearchIncomplete: _retry(
        "search_incomplete", "There is more at Instagram than a look-up reads."
    ),
    CallOverdueError: ErrorPolicy(
        Outcome.RETRY, "call_overdue", "This worker was held up; another may be at work."
    ),
    SessionConflict: ErrorPolicy(
        Outcome.RETRY, "session_replaced", "The account's session was replaced meanwhile."
    ),
    # The proxy
    ig.AuthRequiredProxyError: PROXY_AUTH_REQUIRED,
    ig.ProxyError: PROXY_REFUSED,
    httpx.ProxyError: PROXY_REFUSED,
    ig.ProxyAddressIsBlocked: _proxy(
        "proxy_address_blocked", "Instagram blocks the address the account comes from."
    ),
    # A rest
    ig.ClientThrottledError: _back_off("rate_limited", "Too many requests.", 15 * _MINUTE),
    ig.PleaseWaitFewMinutes: _back_off(
        "please_wait", "Instagram asks to wait.", _HOUR, again="double"
    ),
    ig.RateLimitError: _back_off("rate_limit_error", "Instagram limits this account.", _HOUR),
    ig.SentryBlock: _back_off("sentry_block", "Instagram blocks this account for now.", 24 * _HOUR),
    ig.FeedbackRequired: _back_off(
        "feedback_required",
        "Instagram blocks this kind of action for now.",
        24 * _HOUR,
        "kind",
        again="widen",
    ),
    # A person
    ig.ChallengeError: _CHALLENGE,
    ig.CaptchaChallengeRequired: _CHALLENGE,
    ig.CheckpointRequired: _person(
        "checkpoint_required",
        "Instagram stopped the account at a checkpoint.",
        "Pass it in the app, then resume the account.",
    ),
    ig.ConsentRequired: _person(
        "consent_required",
        "Instagram asks for a consent.",
        "Give it in the app, then resume the account.",
    ),
    ig.GeoBlockRequired: _person(
        "geoblock_required",
        "Instagram does not serve this account from where it is.",
        "Use a proxy where the account lives, then resume the account.",
    ),
    ig.AccountSuspended: _person("account_suspended", "Instagram suspended the account."),
    ig.TermsAccept: _TERMS,
    ig.TermsUnblock: _TERMS,
    ig.BadPassword: _person(
        "bad_password",
        "Instagram did not accept the password, or not from this address.",
        "Check the password and the proxy, then resume the account.",
    ),
    ig.BadCredentials: _person(
        "bad_credentials",
        "The account's username or password is missing.",
        "Set both, then resume the account.",
    ),
    ig.TwoFactorRequired: _person(
        "two_factor_required",
        "Instagram wants a second factor and has none that it accepts.",
        "Set or correct the TOTP seed, then resume the account.",
    ),
    ig.ClientNeedsUpgradeError: _person(
        "client_outdated",
        "Instagram no longer takes this version of the client.",
        "Upgrade, then resume the account.",
    ),
    ig.ReloginAttemptExceeded: _person("relogin_exceeded", "The account logged in too often."),
    SessionUnreadable: _person(
        "session_unreadable",
        "The stored session cannot be decrypted or belongs to another username.",
        "Put the right SECRET_KEY or username back, then resume the account.",
    ),
    DeviceChanged: _person("device_changed", "The session is of another device than the account."),
    UnknownAccount: _person(
        "unknown_account",
        "This worker does not know the account.",
        "Deploy the configuration that names it.",
    ),
    # The session
    ig.LoginRequired: _SESSION_OVER,
    ig.PreLoginRequired: _SESSION_OVER,
    ig.ClientLoginRequired: _SESSION_OVER,
    # The gateway has seen that the session still holds: it is this call that was refused.
    ig.ClientUnauthorizedError: ErrorPolicy(
        Outcome.RETRY, "unauthorized", "Instagram did not accept the session for this call."
    ),
    # This job only
    ig.UserNotFound: _final("user_not_found", "There is no such user."),
    ig.MediaNotFound: _final("media_not_found", "There is no such post."),
    ig.MediaUnavailable: _final("media_unavailable", "The post is not available."),
    ig.InvalidMediaId: _final("invalid_media_id", "This is not the id of a post."),
    ig.CommentUnavailable: _final("comment_unavailable", "The comment is not available."),
    ig.CommentNotFound: _final("comment_not_found", "There is no such comment."),
    ig.CommentsDisabled: COMMENTS_DISABLED,
    ig.PrivateAccount: _final("private_account", "The account is private."),
    ig.InvalidTargetUser: _final("invalid_target_user", "Instagram cannot write to this user."),
    ig.DirectMessageRequestsDisabled: _final(
        "message_requests_disabled", "The recipient does not take message requests."
    ),
    ig.DirectThreadNotFound: _final("thread_not_found", "There is no such thread."),
    ig.IsRegulatedC18Error: _final("age_restricted", "Instagram shows this user to adults only."),
    InvalidInstagramId: _final("invalid_target", "This is neither a recipient nor a post."),
    # A ValueError of the library itself: before the request as a rule, but not for certain.
    ValueError: ErrorPolicy(
        Outcome.FINAL, "invalid_request", "The request is not valid.", ambiguous=True
    ),
    # Unclear
    ig.UnknownError: REFUSED_UNCLEAR,
    ig.ClientStatusFail: REFUSED_UNCLEAR,
    ig.ClientErrorWithTitle: REFUSED_UNCLEAR,
    ig.ClientBadRequestError: REFUSED_UNCLEAR,
    ig.ClientForbiddenError: REFUSED_UNCLEAR,
    ig.ClientNotFoundError: REFUSED_UNCLEAR,
    ig.ClientError: REFUSED_UNCLEAR,
    pydantic.ValidationError: _UNEXPECTED,
    LookupError: _UNEXPECTED,
    AssertionError: _UNEXPECTED,
    TypeError: _UNEXPECTED,
    AttributeError: _UNEXPECTED,
    UnboundLocalError: _UNEXPECTED,
    BaseException: _retry("unexpected_error", "Something unexpected went wrong."),
}
