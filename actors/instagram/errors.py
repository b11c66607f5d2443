"""Classifies errors of calls to Instagram: what they mean for the job and the account.

What Instagram replied decides, by its words and its status; the exception's class only where there
was no reply, or one that says nothing. The policies are in `error_policies.py`. No decision
contains text of the exception, which may hold URLs, cookies and whole replies; a refusal in unknown
words quotes them, without what may identify a person.
"""

from __future__ import annotations

import re
from typing import Final

import httpx
import pydantic
from aiograpi import exceptions as ig
from curl_cffi import CurlError

from actors.instagram.challenge_details import challenge_details, is_of_login
from actors.instagram.error_policies import (
    COMMENT_REFUSED,
    COMMENTS_DISABLED,
    COMMENTS_LIMITED,
    CONNECTION_FAILED,
    LOGIN_PREFLIGHT_FAILED,
    LOGIN_REFUSED,
    PROXY_AUTH_REQUIRED,
    PROXY_REFUSED,
    RECIPIENT_REFUSES,
    REFUSED,
    REFUSED_UNCLEAR,
    REMEDIES,
    SERVER_ERROR,
    ErrorDecision,
    ErrorPolicy,
    Outcome,
    Scope,
)
from actors.instagram.exception_policies import policy_for_exception
from actors.instagram.options import UnknownAccount
from actors.instagram.reply import Reply, exception_chain, reply_of
from actors.instagram.reply_policies import is_definite, policy_for_reply, retry_after_seconds
from actors.instagram.reply_texts import shown_words
from service.instagram.ids import InvalidIdentifier

__all__ = [
    "ClassifiedError",
    "ErrorDecision",
    "Outcome",
    "Scope",
    "UnknownAccount",
    "classify",
]

# libcurl: could not resolve the proxy or the host, could not connect, rejected the certificate.
_NEVER_SENT: Final = frozenset({5, 6, 7, 60})

# A proxy's 4xx reply to CONNECT, as libcurl and httpx word it. A 5xx concerns the connection from
# the proxy to Instagram, which may work again in a moment.
_PROXY_STATUS: Final = re.compile(r"(?:^|CONNECT tunnel failed, response )(4\d\d)\b")

#: What "this user has blocked you" means where nobody is written to.
_REFUSES_BY_KIND: Final = {
    "comment": COMMENTS_LIMITED,
    **dict.fromkeys(("lookup", "followers", "following"), REFUSED),
}

# What the library raises for a reply, and what it or this client raises in stumbling over one.
_ABOUT_A_REPLY: Final = (
    ig.ClientError,
    pydantic.ValidationError,
    *(LookupError, AssertionError, TypeError, AttributeError, UnboundLocalError, ValueError),
)


class ClassifiedError(Exception):
    """An error that carries its own policy."""

    def __init__(self, policy: ErrorPolicy) -> None:
        super().__init__(policy.code)
        self.policy = policy


def classify(exc: BaseException, *, writing: bool, kind: str = "dm") -> ErrorDecision:
    """Decide what an error of a call to Instagram means.

    Parameters:
      exc: What the call raised.
      writing: Whether the call was a write.
      kind: The kind of the job that it served. What somebody refuses to show, or a post's owner
        to take, is worded as what a recipient does.

    Returns:
      The decision; nothing in it comes from the exception's text.
    """
    reply = _reply_behind(exc)
    policy = _policy_for(exc, reply)
    if policy.code in RECIPIENT_REFUSES:
        policy = _REFUSES_BY_KIND.get(kind, policy)
    ambiguous = writing and _may_have_been_stored(exc, policy, reply)
    outcome = Outcome.VERIFY if ambiguous else policy.outcome
    wait = retry_after_seconds(reply) if reply else None
    return ErrorDecision(
        outcome=outcome,
        code=policy.code,
        message=_message(policy, outcome, reply),
        ambiguous=ambiguous,
        cooldown_seconds=_cooldown_seconds(policy, wait),
        scope=policy.scope,
        escalation=policy.escalation,
        tries=policy.tries,
        retry_after_seconds=wait,
        said=_said(exc) if policy.outcome is Outcome.HOLD else {},
    )


def _said(exc: BaseException) -> dict[str, str]:
    """What Instagram said of a hold; empty for one that is not its doing."""
    at_login = is_of_login(exc)
    if not at_login and reply_of(exc) is None:
        return {}
    return {"at": "login" if at_login else "call", **challenge_details(exc)}


def _reply_behind(exc: BaseException) -> Reply | None:
    about_a_reply = isinstance(exc, _ABOUT_A_REPLY) and not isinstance(exc, InvalidIdentifier)
    return reply_of(exc) if about_a_reply else None


def _policy_for(exc: BaseException, reply: Reply | None) -> ErrorPolicy:
    if isinstance(exc, ClassifiedError):
        return exc.policy
    by_class = _policy_for_class(exc)
    return by_class if reply is None else policy_for_reply(reply, by_class)


def _policy_for_class(exc: BaseException) -> ErrorPolicy:
    if isinstance(exc, ig.FeedbackRequired):
        return _feedback_required_policy(exc)
    if isinstance(exc, (ig.ConnectProxyError, ig.ClientConnectionError, httpx.ProxyError)):
        return _connection_policy(exc)
    if type(exc) is ig.ClientError:
        return _client_error_policy(exc)
    return policy_for_exception(exc)


def _feedback_required_policy(exc: BaseException) -> ErrorPolicy:
    """Distinguish the refusal of one comment from a block, by the reply's fields.

    The library sets those fields as attributes of the exception.
    """
    if getattr(exc, "comments_disabled", None):
        return COMMENTS_DISABLED
    if getattr(exc, "comment_error_key", None):
        return COMMENT_REFUSED
    return policy_for_exception(exc)


def _connection_policy(exc: BaseException) -> ErrorPolicy:
    statuses = [
        match[1] for link in exception_chain(exc) if (match := _PROXY_STATUS.search(str(link)))
    ]
    if not statuses:
        return CONNECTION_FAILED
    return PROXY_AUTH_REQUIRED if "407" in statuses else PROXY_REFUSED


def _client_error_policy(exc: BaseException) -> ErrorPolicy:
    """Classify a bare `ClientError`: a login without a session, or a failed key fetch."""
    if getattr(exc, "logged_in", None) is False:
        return LOGIN_REFUSED if getattr(exc, "result", None) else LOGIN_PREFLIGHT_FAILED
    if (getattr(exc, "code", None) or 0) >= 500:
        return SERVER_ERROR
    return REFUSED_UNCLEAR


def _may_have_been_stored(exc: BaseException, policy: ErrorPolicy, reply: Reply | None) -> bool:
    if reply is not None and not isinstance(exc, ClassifiedError):
        return not is_definite(reply, policy)
    return policy.ambiguous and _curl_code(exc) not in _NEVER_SENT


def _message(policy: ErrorPolicy, outcome: Outcome, reply: Reply | None) -> str:
    remedy = policy.remedy or REMEDIES[outcome]
    words = shown_words(reply.document or {}) if reply and policy.shows_words else ""
    return " ".join(filter(None, (policy.message, words and f"It said: {words}", remedy)))


def _cooldown_seconds(policy: ErrorPolicy, wait: int | None) -> int | None:
    """Instagram's own wait lengthens a cooldown, never shortens it."""
    usual = policy.cooldown_seconds
    return max(usual, wait) if usual is not None and wait is not None else usual


def _curl_code(exc: BaseException) -> int | None:
    codes = (int(link.code) for link in exception_chain(exc) if isinstance(link, CurlError))
    return next(codes, None)
