"""What an error of a call to Instagram means for the job and the account.

No verdict carries anything of the exception: those hold URLs, cookies and whole replies.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import httpx
from aiograpi import exceptions as ig
from curl_cffi import CurlError

from actors.instagram.error_policies import (
    COMMENT_REFUSED,
    COMMENTS_DISABLED,
    CONNECTION_FAILED,
    LOGIN_REFUSED,
    POLICIES,
    PREFLIGHT_FAILED,
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
from actors.instagram.ids import InvalidInstagramId
from actors.instagram.options import UnknownAccount

__all__ = [
    "ClassifiedError",
    "ErrorDecision",
    "InvalidInstagramId",
    "Outcome",
    "Scope",
    "UnknownAccount",
    "classify",
]

# libcurl: could not resolve the proxy, resolve the host, connect; refused the certificate.
_NEVER_SENT: Final = frozenset({5, 6, 7, 60})

# A proxy that answers CONNECT with a refusal of its own, as libcurl and httpx word it. Its 5xx
# are about the way to Instagram, which may be open again in a moment.
_PROXY_SAID: Final = re.compile(r"(?:^|CONNECT tunnel failed, response )(4\d\d)\b")


class ClassifiedError(Exception):
    """An error that knows what it means.

    Parameters:
      rule: Its row of the table.
    """

    def __init__(self, rule: ErrorPolicy) -> None:
        super().__init__(rule.code)
        self.rule = rule


def classify(exc: BaseException, *, writing: bool) -> ErrorDecision:
    """Judge an error of a call to Instagram.

    Parameters:
      exc: What the call raised.
      writing: Whether the call was to change something at Instagram.

    Returns:
      What happens next; nothing in it comes from the exception's text.
    """
    rule = _policy_for(exc)
    ambiguous = writing and rule.ambiguous and _curl_code(exc) not in _NEVER_SENT
    outcome = Outcome.LOOK if ambiguous else rule.outcome
    then = rule.remedy or REMEDIES[outcome]
    return ErrorDecision(
        outcome=outcome,
        code=rule.code,
        message=f"{rule.message} {then}",
        ambiguous=ambiguous,
        cooldown_seconds=rule.cooldown_seconds,
        scope=rule.scope,
        escalation=rule.escalation,
    )


def _policy_for(exc: BaseException) -> ErrorPolicy:
    if isinstance(exc, ClassifiedError):
        return exc.rule
    if isinstance(exc, ig.FeedbackRequired):
        return _feedback_policy(exc)
    if isinstance(exc, (ig.ConnectProxyError, ig.ClientConnectionError, httpx.ProxyError)):
        return _connect_policy(exc)
    if type(exc) is ig.ClientError:
        return _plain_policy(exc)
    return next(POLICIES[kind] for kind in type(exc).__mro__ if kind in POLICIES)


def _feedback_policy(exc: BaseException) -> ErrorPolicy:
    """Tell a refusal of this one comment from a block: the reply's fields are attributes."""
    if getattr(exc, "comments_disabled", None):
        return COMMENTS_DISABLED
    if getattr(exc, "comment_error_key", None):
        return COMMENT_REFUSED
    return POLICIES[ig.FeedbackRequired]


def _connect_policy(exc: BaseException) -> ErrorPolicy:
    said = [found[1] for link in _chain(exc) if (found := _PROXY_SAID.search(str(link)))]
    if not said:
        return CONNECTION_FAILED
    return PROXY_AUTH_REQUIRED if "407" in said else PROXY_REFUSED


def _plain_policy(exc: BaseException) -> ErrorPolicy:
    """Judge the bare `ClientError`: how a login ends without a session, or a key fetch fails."""
    if getattr(exc, "logged_in", None) is False:
        return LOGIN_REFUSED if getattr(exc, "result", None) else PREFLIGHT_FAILED
    if (getattr(exc, "code", None) or 0) >= 500:
        return SERVER_ERROR
    return REFUSED_UNCLEAR


def _curl_code(exc: BaseException) -> int | None:
    codes = (int(link.code) for link in _chain(exc) if isinstance(link, CurlError))
    return next(codes, None)


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """Walk an exception, its causes and contexts; the library raises without `from`."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [exc]
    while waiting:
        link = waiting.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting += [link.__context__, link.__cause__]
