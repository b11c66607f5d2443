"""Classifies errors of calls to Instagram: what they mean for the job and the account.

The policies are in `error_policies.py`. No decision contains text of the exception, which may hold
URLs, cookies and whole replies.
"""

from __future__ import annotations

import re
from typing import Final

import httpx
from aiograpi import exceptions as ig
from curl_cffi import CurlError

from actors.instagram.error_policies import (
    COMMENT_REFUSED,
    COMMENTS_DISABLED,
    CONNECTION_FAILED,
    LOGIN_PREFLIGHT_FAILED,
    LOGIN_REFUSED,
    POLICIES,
    PROXY_AUTH_REQUIRED,
    PROXY_REFUSED,
    REFUSED_UNCLEAR,
    REMEDIES,
    SERVER_ERROR,
    ErrorDecision,
    ErrorPolicy,
    Outcome,
    Scope,
)
from actors.instagram.options import UnknownAccount
from actors.instagram.reply import exception_chain

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


class ClassifiedError(Exception):
    """An error that carries its own policy."""

    def __init__(self, policy: ErrorPolicy) -> None:
        super().__init__(policy.code)
        self.policy = policy


def classify(exc: BaseException, *, writing: bool) -> ErrorDecision:
    """Decide what an error of a call to Instagram means.

    Parameters:
      exc: What the call raised.
      writing: Whether the call was a write.

    Returns:
      The decision; nothing in it comes from the exception's text.
    """
    policy = _policy_for(exc)
    ambiguous = writing and policy.ambiguous and _curl_code(exc) not in _NEVER_SENT
    outcome = Outcome.VERIFY if ambiguous else policy.outcome
    return ErrorDecision(
        outcome=outcome,
        code=policy.code,
        message=f"{policy.message} {policy.remedy or REMEDIES[outcome]}",
        ambiguous=ambiguous,
        cooldown_seconds=policy.cooldown_seconds,
        scope=policy.scope,
        escalation=policy.escalation,
    )


def _policy_for(exc: BaseException) -> ErrorPolicy:
    if isinstance(exc, ClassifiedError):
        return exc.policy
    if isinstance(exc, ig.FeedbackRequired):
        return _feedback_required_policy(exc)
    if isinstance(exc, (ig.ConnectProxyError, ig.ClientConnectionError, httpx.ProxyError)):
        return _connection_policy(exc)
    if type(exc) is ig.ClientError:
        return _client_error_policy(exc)
    return next(POLICIES[kind] for kind in type(exc).__mro__ if kind in POLICIES)


def _feedback_required_policy(exc: BaseException) -> ErrorPolicy:
    """Distinguish the refusal of one comment from a block, by the reply's fields.

    The library sets those fields as attributes of the exception.
    """
    if getattr(exc, "comments_disabled", None):
        return COMMENTS_DISABLED
    if getattr(exc, "comment_error_key", None):
        return COMMENT_REFUSED
    return POLICIES[ig.FeedbackRequired]


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


def _curl_code(exc: BaseException) -> int | None:
    codes = (int(link.code) for link in exception_chain(exc) if isinstance(link, CurlError))
    return next(codes, None)
