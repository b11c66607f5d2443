"""What happens on each error of a call to Instagram: one policy per exception class.

To find an error by its code (`feedback_required`, `challenge_required` ...), search this file: the
codes are what jobs, holds and cooldowns show. `errors.classify` looks the policy up.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final, Literal

import httpx
import pydantic
from aiograpi import exceptions as ig
from curl_cffi import CurlError

from actors.instagram.options import UnknownAccount
from actors.instagram.pks import MissingPk
from actors.instagram.request_deadline import CallOverdueError
from actors.instagram.write_verification import SearchIncomplete, SimilarWriteFound
from service.accounts.session_store import DeviceChanged, SessionConflict, SessionUnreadable
from service.instagram.ids import InvalidIdentifier
from service.jobs.claims import Escalation

Scope = Literal["kind", "account"]

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE


class Outcome(StrEnum):
    """What happens next."""

    RETRY = "retry"
    FIX_PROXY = "fix_proxy"
    COOL_DOWN = "cool_down"
    HOLD = "hold"
    RELOGIN = "relogin"
    FINAL = "final"
    VERIFY = "verify"


@dataclass(frozen=True)
class ErrorDecision:
    """What one error means for its job and account.

    Parameters:
      outcome: What happens next.
      code: A stable code for programs.
      message: One to three sentences for people.
      ambiguous: The write may have reached Instagram; verify before sending anything again.
      cooldown_seconds: Length of the cooldown; None for no cooldown.
      scope: What cools down: this kind of action, or the whole account.
      escalation: How the cooldown grows when it closely follows another one.
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
    """One row of the table; fields as `ErrorDecision`.

    Parameters:
      ambiguous: Whether a write that ended with this error may have been stored.
      remedy: What to do about it; None for the outcome's usual sentence in `REMEDIES`.
    """

    outcome: Outcome
    code: str
    message: str
    ambiguous: bool = False
    cooldown_seconds: int | None = None
    scope: Scope = "account"
    remedy: str | None = None
    escalation: Escalation | None = None


#: The sentence that follows a policy's message.
REMEDIES: Final = {
    Outcome.RETRY: "The job is retried shortly.",
    Outcome.FIX_PROXY: "Correct the account's proxy, then resume the account.",
    Outcome.COOL_DOWN: "The account cools down before its next call.",
    Outcome.HOLD: "The account is held until a person has acted and resumed it.",
    Outcome.RELOGIN: "The account logs in again.",
    Outcome.FINAL: "The job has failed; other jobs are not affected.",
    Outcome.VERIFY: "Instagram is read before anything is sent again.",
}


_retry = partial(ErrorPolicy, Outcome.RETRY, ambiguous=True)
#: For errors that prove the write was not stored.
_retry_unsent = partial(ErrorPolicy, Outcome.RETRY)
_final = partial(ErrorPolicy, Outcome.FINAL)
_hold = partial(ErrorPolicy, Outcome.HOLD)
_cool_down = partial(ErrorPolicy, Outcome.COOL_DOWN)
_fix_proxy = partial(ErrorPolicy, Outcome.FIX_PROXY)

CONNECTION_FAILED = _retry("connection_failed", "The connection to Instagram failed.")
SERVER_ERROR = _retry("server_error", "Instagram had an internal error.")
REFUSED_UNCLEAR = _retry("refused_unclear", "Instagram refused without a reason this client knows.")
LOGIN_PREFLIGHT_FAILED = _retry("login_preflight_failed", "Instagram did not prepare the login.")
_TIMED_OUT = _retry("timed_out", "Instagram did not answer in time.")
_REPLY_UNREADABLE = _retry("reply_unreadable", "Instagram's reply could not be read.")
_REPLY_UNEXPECTED = _retry("reply_unexpected", "Instagram's reply did not have the expected form.")

PROXY_AUTH_REQUIRED = _fix_proxy(
    "proxy_auth_required", "The proxy did not accept its user name and password."
)
PROXY_REFUSED = _fix_proxy("proxy_refused", "The proxy is unreachable or refused the connection.")

LOGIN_REFUSED = _hold(
    "login_refused",
    "Instagram refused the login without a reason.",
    remedy="Log in with the app from the same network, then resume the account.",
)
_TERMS_REQUIRED = _hold(
    "terms_required",
    "Instagram requires its terms to be accepted.",
    remedy="Accept them in the app, then resume the account.",
)
_CHALLENGE_REQUIRED = _hold(
    "challenge_required",
    "Instagram asks to confirm that it is really you.",
    remedy="Confirm the login in the app, then resume the account.",
)
_LOGIN_REQUIRED = ErrorPolicy(Outcome.RELOGIN, "login_required", "The session is no longer valid.")

COMMENTS_DISABLED = _final("comments_disabled", "The post does not take comments.")
COMMENT_REFUSED = _final("comment_refused", "Instagram refused this comment.")

#: Looked up along the exception's MRO, most specific class first.
POLICIES: Final[dict[type[BaseException], ErrorPolicy]] = {
    # Retry
    ig.ConnectProxyError: CONNECTION_FAILED,
    ig.ClientConnectionError: CONNECTION_FAILED,
    httpx.HTTPError: CONNECTION_FAILED,
    CurlError: CONNECTION_FAILED,
    OSError: CONNECTION_FAILED,
    httpx.TimeoutException: _TIMED_OUT,
    TimeoutError: _TIMED_OUT,
    ig.ClientRequestTimeout: _TIMED_OUT,
    ig.ClientIncompleteReadError: _retry("reply_incomplete", "Instagram's reply broke off."),
    ig.ClientUnknownError: SERVER_ERROR,
    ig.ClientJSONDecodeError: _REPLY_UNREADABLE,
    json.JSONDecodeError: _REPLY_UNREADABLE,
    UnicodeError: _REPLY_UNREADABLE,
    asyncio.CancelledError: _retry("interrupted", "The call was interrupted."),
    SearchIncomplete: _retry(
        "search_incomplete", "There is more at Instagram than a verification reads."
    ),
    SimilarWriteFound: _retry(
        "similar_found", "The account has written something similar at that time."
    ),
    CallOverdueError: _retry_unsent(
        "call_overdue", "This worker was delayed; another may have taken the job over."
    ),
    SessionConflict: _retry_unsent(
        "session_replaced", "Another process replaced the account's session."
    ),
    # `AccountClient` has checked that the session is still valid: only this call was refused.
    ig.ClientUnauthorizedError: _retry_unsent(
        "unauthorized", "Instagram did not accept the session for this call."
    ),
    # Fix the proxy
    ig.AuthRequiredProxyError: PROXY_AUTH_REQUIRED,
    ig.ProxyError: PROXY_REFUSED,
    httpx.ProxyError: PROXY_REFUSED,
    ig.ProxyAddressIsBlocked: _fix_proxy(
        "proxy_address_blocked", "Instagram blocks the IP address the account connects from."
    ),
    # Cool down
    ig.ClientThrottledError: _cool_down(
        "rate_limited", "Too many requests.", cooldown_seconds=15 * _MINUTE
    ),
    ig.PleaseWaitFewMinutes: _cool_down(
        "please_wait", "Instagram asks to wait.", cooldown_seconds=_HOUR, escalation="double"
    ),
    ig.RateLimitError: _cool_down(
        "rate_limit_error", "Instagram limits this account's requests.", cooldown_seconds=_HOUR
    ),
    ig.SentryBlock: _cool_down(
        "sentry_block", "Instagram blocks this account temporarily.", cooldown_seconds=24 * _HOUR
    ),
    # `errors._feedback_required_policy` narrows this when only one comment was refused.
    ig.FeedbackRequired: _cool_down(
        "feedback_required",
        "Instagram blocks this kind of action temporarily.",
        cooldown_seconds=24 * _HOUR,
        scope="kind",
        escalation="widen",
    ),
    # Hold the account
    ig.ChallengeError: _CHALLENGE_REQUIRED,
    ig.CaptchaChallengeRequired: _CHALLENGE_REQUIRED,
    ig.CheckpointRequired: _hold(
        "checkpoint_required",
        "Instagram stopped the account at a checkpoint.",
        remedy="Pass it in the app, then resume the account.",
    ),
    ig.ConsentRequired: _hold(
        "consent_required",
        "Instagram asks for consent.",
        remedy="Give it in the app, then resume the account.",
    ),
    ig.GeoBlockRequired: _hold(
        "geoblock_required",
        "Instagram does not serve this account from its current location.",
        remedy="Use a proxy in the account's home region, then resume the account.",
    ),
    ig.AccountSuspended: _hold("account_suspended", "Instagram suspended the account."),
    ig.TermsAccept: _TERMS_REQUIRED,
    ig.TermsUnblock: _TERMS_REQUIRED,
    ig.BadPassword: _hold(
        "bad_password",
        "Instagram did not accept the password, or not from this address.",
        remedy="Check the password and the proxy, then resume the account.",
    ),
    ig.BadCredentials: _hold(
        "bad_credentials",
        "The account's username or password is missing.",
        remedy="Set both, then resume the account.",
    ),
    ig.TwoFactorRequired: _hold(
        "two_factor_required",
        "Instagram requires a second factor and did not get one it accepts.",
        remedy="Set or correct the TOTP seed, then resume the account.",
    ),
    ig.ClientNeedsUpgradeError: _hold(
        "client_outdated",
        "Instagram no longer accepts this version of the client.",
        remedy="Upgrade, then resume the account.",
    ),
    ig.ReloginAttemptExceeded: _hold("relogin_exceeded", "The account logged in too often."),
    SessionUnreadable: _hold(
        "session_unreadable",
        "The stored session cannot be decrypted or belongs to another username.",
        remedy="Restore the right SECRET_KEY or username, then resume the account.",
    ),
    DeviceChanged: _hold("device_changed", "The session belongs to another device."),
    UnknownAccount: _hold(
        "unknown_account",
        "This worker's configuration does not have the account.",
        remedy="Deploy the configuration that names it.",
    ),
    # Log in again
    ig.LoginRequired: _LOGIN_REQUIRED,
    ig.PreLoginRequired: _LOGIN_REQUIRED,
    ig.ClientLoginRequired: _LOGIN_REQUIRED,
    # Fail this job only
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
        "message_requests_disabled", "The recipient does not accept message requests."
    ),
    ig.DirectThreadNotFound: _final("thread_not_found", "There is no such thread."),
    ig.IsRegulatedC18Error: _final("age_restricted", "Instagram shows this user to adults only."),
    InvalidIdentifier: _final("invalid_target", "This is neither a recipient nor a post."),
    # The library raises ValueError itself, usually but not certainly before the request.
    ValueError: ErrorPolicy(
        Outcome.FINAL, "invalid_request", "The request is not valid.", ambiguous=True
    ),
    # Retry refusals without a known reason
    ig.UnknownError: REFUSED_UNCLEAR,
    ig.ClientStatusFail: REFUSED_UNCLEAR,
    ig.ClientErrorWithTitle: REFUSED_UNCLEAR,
    ig.ClientBadRequestError: REFUSED_UNCLEAR,
    ig.ClientForbiddenError: REFUSED_UNCLEAR,
    ig.ClientNotFoundError: REFUSED_UNCLEAR,
    ig.ClientError: REFUSED_UNCLEAR,
    MissingPk: _retry("reply_without_pk", "Instagram's reply names no user or post by its id."),
    pydantic.ValidationError: _REPLY_UNEXPECTED,
    LookupError: _REPLY_UNEXPECTED,
    AssertionError: _REPLY_UNEXPECTED,
    TypeError: _REPLY_UNEXPECTED,
    AttributeError: _REPLY_UNEXPECTED,
    UnboundLocalError: _REPLY_UNEXPECTED,
    BaseException: _retry("unexpected_error", "Something unexpected went wrong."),
}
