"""What happens on each error of a call to Instagram: one policy per code.

To find an error by its code (`feedback_required`, `challenge_required` ...), search this file: the
codes are what jobs, holds and cooldowns show. `refusal_words` finds a policy by the words of
Instagram's reply, `exception_policies` by the exception's class; `errors.classify` asks both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Final, Literal

from service.jobs.account_effect import Escalation

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
      message: One to four sentences for people.
      ambiguous: The write may have reached Instagram; verify before sending anything again.
      cooldown_seconds: Length of the cooldown; None for no cooldown.
      scope: What cools down: this kind of action, or the whole account.
      escalation: How the cooldown grows when it closely follows another one.
      tries: How often a job may be refused in one run before it fails; None for the usual number.
      retry_after_seconds: The least wait that Instagram asks for; None when it does not say.
      said: What Instagram said of a hold, as far as it may be shown (service/accounts/holds.py).
    """

    outcome: Outcome
    code: str
    message: str
    ambiguous: bool
    cooldown_seconds: int | None
    scope: Scope
    escalation: Escalation | None = None
    tries: int | None = None
    retry_after_seconds: int | None = None
    said: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ErrorPolicy:
    """What one kind of error means; fields as `ErrorDecision`.

    Parameters:
      ambiguous: Whether a write that ended with this error may have been stored; a reply that
        refuses proves that it was not.
      remedy: What to do about it; None for the outcome's usual sentence in `REMEDIES`.
      shows_words: Whether the message quotes what Instagram said.
    """

    outcome: Outcome
    code: str
    message: str
    ambiguous: bool = False
    cooldown_seconds: int | None = None
    scope: Scope = "account"
    remedy: str | None = None
    escalation: Escalation | None = None
    tries: int | None = None
    shows_words: bool = False


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

# Retry

CONNECTION_FAILED = _retry("connection_failed", "The connection to Instagram failed.")
SERVER_ERROR = _retry("server_error", "Instagram had an internal error.")
#: A refusal that may not come from Instagram itself: a page, an empty body, another's JSON.
REFUSED_UNCLEAR = _retry("refused_unclear", "Instagram refused without a reason this client knows.")
#: Instagram's own refusal, in words that nobody here knows.
REFUSED = ErrorPolicy(
    Outcome.RETRY, REFUSED_UNCLEAR.code, REFUSED_UNCLEAR.message, tries=3, shows_words=True
)
LOGIN_PREFLIGHT_FAILED = _retry("login_preflight_failed", "Instagram did not prepare the login.")
TIMED_OUT = _retry("timed_out", "Instagram did not answer in time.")
REPLY_INCOMPLETE = _retry("reply_incomplete", "Instagram's reply broke off.")
REPLY_UNREADABLE = _retry("reply_unreadable", "Instagram's reply could not be read.")
REPLY_UNEXPECTED = _retry("reply_unexpected", "Instagram's reply did not have the expected form.")
INTERRUPTED = _retry("interrupted", "The call was interrupted.")
UNEXPECTED_ERROR = _retry("unexpected_error", "Something unexpected went wrong.")
SEARCH_INCOMPLETE = _retry(
    "search_incomplete", "There is more at Instagram than a verification reads."
)
SIMILAR_FOUND = _retry("similar_found", "The account has written something similar at that time.")
REPLY_WITHOUT_PK = _retry("reply_without_pk", "Instagram's reply names no user or post by its id.")
CALL_OVERDUE = _retry_unsent(
    "call_overdue", "This worker was delayed; another may have taken the job over."
)
SESSION_REPLACED = _retry_unsent(
    "session_replaced", "Another process replaced the account's session."
)
#: `AccountClient` has checked that the session is still valid: only this call was refused.
UNAUTHORIZED = _retry_unsent("unauthorized", "Instagram did not accept the session for this call.")

# Fix the proxy

PROXY_AUTH_REQUIRED = _fix_proxy(
    "proxy_auth_required", "The proxy did not accept its user name and password."
)
PROXY_REFUSED = _fix_proxy("proxy_refused", "The proxy is unreachable or refused the connection.")
PROXY_BLOCKED = _fix_proxy(
    "proxy_address_blocked", "Instagram blocks the IP address the account connects from."
)

# Cool down

RATE_LIMITED = _cool_down("rate_limited", "Too many requests.", cooldown_seconds=15 * _MINUTE)
PLEASE_WAIT = _cool_down(
    "please_wait", "Instagram asks to wait.", cooldown_seconds=_HOUR, escalation="double"
)
RATE_LIMIT_ERROR = _cool_down(
    "rate_limit_error", "Instagram limits this account's requests.", cooldown_seconds=_HOUR
)
SENTRY_BLOCK = _cool_down(
    "sentry_block", "Instagram blocks this account temporarily.", cooldown_seconds=24 * _HOUR
)
#: A job that meets it again after each rest may be its reason: without an end to its tries, one
#: text would silence the account for good.
FEEDBACK_REQUIRED = _cool_down(
    "feedback_required",
    "Instagram blocks this kind of action temporarily.",
    cooldown_seconds=24 * _HOUR,
    scope="kind",
    escalation="widen",
    tries=3,
)

# Hold the account

CHALLENGE_REQUIRED = _hold(
    "challenge_required",
    "Instagram asks to confirm that it is really you.",
    remedy="Confirm the login in the app, then resume the account.",
)
CHECKPOINT_REQUIRED = _hold(
    "checkpoint_required",
    "Instagram stopped the account at a checkpoint.",
    remedy="Pass it in the app, then resume the account.",
)
CONSENT_REQUIRED = _hold(
    "consent_required",
    "Instagram asks for consent.",
    remedy="Give it in the app, then resume the account.",
)
TERMS_REQUIRED = _hold(
    "terms_required",
    "Instagram requires its terms to be accepted.",
    remedy="Accept them in the app, then resume the account.",
)
GEOBLOCK_REQUIRED = _hold(
    "geoblock_required",
    "Instagram does not serve this account from its current location.",
    remedy="Use a proxy in the account's home region, then resume the account.",
)
ACCOUNT_SUSPENDED = _hold("account_suspended", "Instagram suspended the account.")
CLIENT_OUTDATED = _hold(
    "client_outdated",
    "Instagram no longer accepts this version of the client.",
    remedy="Upgrade, then resume the account.",
)
LOGIN_REFUSED = _hold(
    "login_refused",
    "Instagram refused the login without a reason.",
    remedy="Log in with the app from the same network, then resume the account.",
)
BAD_PASSWORD = _hold(
    "bad_password",
    "Instagram did not accept the password, or not from this address.",
    remedy="Check the password and the proxy, then resume the account.",
)
BAD_CREDENTIALS = _hold(
    "bad_credentials",
    "The account's username or password is missing.",
    remedy="Set both, then resume the account.",
)
TWO_FACTOR_REQUIRED = _hold(
    "two_factor_required",
    "Instagram requires a second factor and did not get one it accepts.",
    remedy="Set or correct the TOTP seed, then resume the account.",
)
RELOGIN_EXCEEDED = _hold("relogin_exceeded", "The account logged in too often.")
SESSION_UNREADABLE = _hold(
    "session_unreadable",
    "The stored session cannot be decrypted, or is another account's or username's.",
    remedy="Restore the right SECRET_KEY, account name or username, then resume the account.",
)
DEVICE_CHANGED = _hold("device_changed", "The session belongs to another device.")
UNKNOWN_ACCOUNT = _hold(
    "unknown_account",
    "This worker's configuration does not have the account.",
    remedy="Deploy the configuration that names it.",
)

# Log in again

LOGIN_REQUIRED = ErrorPolicy(Outcome.RELOGIN, "login_required", "The session is no longer valid.")

# Fail this job only

USER_NOT_FOUND = _final("user_not_found", "There is no such user.")
PRIVATE_ACCOUNT = _final("private_account", "The account is private.")
INVALID_TARGET_USER = _final("invalid_target_user", "Instagram cannot write to this user.")
REQUESTS_DISABLED = _final(
    "message_requests_disabled", "The recipient does not accept message requests."
)
MESSAGES_REFUSED = _final(
    "messages_refused", "The recipient does not accept messages from this account."
)
REQUEST_PENDING = _final(
    "message_request_pending", "The recipient has not accepted the account's message request yet."
)
THREAD_NOT_FOUND = _final("thread_not_found", "There is no such thread.")
AGE_RESTRICTED = _final("age_restricted", "Instagram shows this user to adults only.")
MEDIA_NOT_FOUND = _final("media_not_found", "There is no such post.")
MEDIA_UNAVAILABLE = _final("media_unavailable", "The post is not available.")
INVALID_MEDIA_ID = _final("invalid_media_id", "This is not the id of a post.")
COMMENT_UNAVAILABLE = _final("comment_unavailable", "The comment is not available.")
COMMENT_NOT_FOUND = _final("comment_not_found", "There is no such comment.")
COMMENTS_DISABLED = _final("comments_disabled", "The post does not take comments.")
COMMENTS_LIMITED = _final("comments_limited", "The post does not take comments of this account.")
COMMENT_REFUSED = _final("comment_refused", "Instagram refused this comment.", shows_words=True)
TEXT_TOO_LONG = _final("text_too_long", "Instagram refused the text for its length.")
#: What is refused is this text, which may have been an accident once.
CONTENT_REFUSED = _final(
    "content_refused", "Instagram refused this content.", tries=2, shows_words=True
)
INVALID_TARGET = _final("invalid_target", "This is neither a recipient nor a post.")
#: The library raises ValueError itself, usually but not certainly before the request.
INVALID_REQUEST = ErrorPolicy(
    Outcome.FINAL, "invalid_request", "The request is not valid.", ambiguous=True
)

#: Every policy.
ALL: Final = tuple(each for each in list(globals().values()) if isinstance(each, ErrorPolicy))

#: Codes by which a recipient takes no messages from the account, whatever they say.
RECIPIENT_REFUSES: Final = frozenset({REQUESTS_DISABLED.code, MESSAGES_REFUSED.code})
