"""What a reply of Instagram means: by its words, else by where it redirects, else by its status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from actors.instagram import error_policies as policies
from actors.instagram.error_policies import ErrorPolicy, Outcome
from actors.instagram.refusal_words import (
    BLOCK_ROW,
    COMMENT_FLAGS,
    FLAGS,
    ROWS,
    Flags,
    Rows,
)
from actors.instagram.reply import THROTTLED, Reply
from actors.instagram.reply_texts import folded_texts

#: `Retry-After` is heeded within these bounds, in seconds.
MIN_RETRY_AFTER: Final = 1
MAX_RETRY_AFTER: Final = 24 * 3600

#: Pages that Instagram sends a browser to, by a part of their path.
_HOSTS: Final = ("", "instagram.com", "facebook.com")
_PAGES: Final[tuple[tuple[str, ErrorPolicy], ...]] = (
    ("/accounts/suspended", policies.ACCOUNT_SUSPENDED),
    ("/accounts/disabled", policies.ACCOUNT_SUSPENDED),
    ("/challenge", policies.CHALLENGE_REQUIRED),
    ("/checkpoint", policies.CHECKPOINT_REQUIRED),
    ("/consent", policies.CONSENT_REQUIRED),
    ("/accounts/login", policies.LOGIN_REQUIRED),
)


#: What a server that fails may say of the account. Nothing else that it says is final: the write
#: may have been stored, and a session that is over says so without failing.
_SAID_IN_FAILING: Final = frozenset({Outcome.COOL_DOWN, Outcome.HOLD, Outcome.FIX_PROXY})


def policy_for_words(reply: Reply) -> ErrorPolicy | None:
    """What the words of a failed request's reply mean.

    Parameters:
      reply: The reply. That of a success is not read: it may repeat what somebody wrote.

    Returns:
      The policy; None when the reply has no words that this table knows.
    """
    document = reply.document
    if document is None or not _explains_failure(reply):
        return None
    if _is_suspension(document):
        return policies.ACCOUNT_SUSPENDED
    texts = folded_texts(document, reply.sent)
    said = (
        _first_row(ROWS, texts)
        or _first_flag(COMMENT_FLAGS, document)
        or _first_row(BLOCK_ROW, texts)
        or _first_flag(FLAGS, document)
    )
    return (
        None if said and reply.is_server_failure and said.outcome not in _SAID_IN_FAILING else said
    )


def page_of(reply: Reply) -> str:
    """The path of Instagram's that a reply redirects to; '' if it does not, or leads elsewhere.

    A hotspot or a proxy redirects to pages of its own, whose login is another one.
    """
    if not 300 <= reply.status < 400:
        return ""
    try:
        target = urlsplit(reply.headers.get("location", ""))
    except ValueError:
        return ""
    host = (target.hostname or "").removesuffix(".")
    is_own = any(host == own or (own and host.endswith(f".{own}")) for own in _HOSTS)
    return target.path if is_own else ""


def policy_for_reply(reply: Reply, by_class: ErrorPolicy) -> ErrorPolicy:
    """What a failed call means, by its reply.

    Parameters:
      reply: What Instagram replied.
      by_class: What the exception's class means. It decides where it is particular and the reply
        says nothing, and where the reply is a success that this client could not use.
    """
    said = policy_for_words(reply) or _policy_for_page(reply)
    if said is not None:
        return said
    if _is_particular(by_class) and not _is_masked_not_found(reply):
        return by_class
    return _policy_for_status(reply) or by_class


def is_definite(reply: Reply, policy: ErrorPolicy) -> bool:
    """Whether a write that got this reply has certainly not been stored.

    A refusal of Instagram's own is definite; so are words that are known, whoever sent them. A
    server's failure never is, nor a page or an empty body, which may come from anything between.
    """
    if reply.is_server_failure:
        return False
    if reply.is_refusal or policy_for_words(reply) or _policy_for_page(reply):
        return True
    # The library raises particular errors for some successes, and those are definite as well.
    return reply.status < 300 and not policy.ambiguous


def retry_after_seconds(reply: Reply) -> int | None:
    """How long a 429 or a server's failure asks to wait, within bounds; None if it does not say.

    `Retry-After` is a number of seconds or a date (RFC 9110, section 10.2.3); a date counts from
    the reply's own `Date`.
    """
    text = reply.headers.get("retry-after", "").strip()
    if not text or not (reply.status == THROTTLED or reply.is_server_failure):
        return None
    seconds = int(text[:9]) if text.isascii() and text.isdigit() else _seconds_until(text, reply)
    return None if seconds is None else min(max(seconds, MIN_RETRY_AFTER), MAX_RETRY_AFTER)


def _policy_for_page(reply: Reply) -> ErrorPolicy | None:
    path = page_of(reply)
    return next((policy for page, policy in _PAGES if page in path), None)


def _policy_for_status(reply: Reply) -> ErrorPolicy | None:
    status = max(reply.status, reply.item_status or 0)
    if status == THROTTLED:
        return policies.RATE_LIMITED
    if reply.is_server_failure:
        return policies.SERVER_ERROR if status >= 500 else policies.TIMED_OUT
    if reply.is_refusal:
        return policies.UNAUTHORIZED if reply.status == 401 else policies.REFUSED
    return policies.REFUSED_UNCLEAR if reply.status >= 300 else None


def _is_particular(policy: ErrorPolicy) -> bool:
    return policy.outcome is not Outcome.RETRY and policy is not policies.INVALID_REQUEST


def _is_masked_not_found(reply: Reply) -> bool:
    """The library takes a bare 404 for a challenge (aiograpi 2.1.2, mixins/private.py)."""
    return reply.status == 404 and reply.document is None


def _seconds_until(text: str, reply: Reply) -> int | None:
    until = _date(text)
    if until is None:
        return None
    return round(
        (until - (_date(reply.headers.get("date", "")) or datetime.now(UTC))).total_seconds()
    )


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _explains_failure(reply: Reply) -> bool:
    return not reply.says_success or "error_title" in (reply.document or {})


def _is_suspension(document: Mapping[str, Any]) -> bool:
    """Instagram calls a suspension a challenge whose page is another (instagrapi pull 2737)."""
    challenge = document.get("challenge")
    inner = challenge.get("url") if isinstance(challenge, Mapping) else None
    pages = (str(url) for url in (inner, document.get("checkpoint_url")))
    return any("/suspended" in url or "/disabled" in url for url in pages)


def _first_row(rows: Rows, texts: Sequence[str]) -> ErrorPolicy | None:
    return next((policy for policy, words in rows if any(map(words.search, texts))), None)


def _first_flag(flags: Flags, document: Mapping[str, Any]) -> ErrorPolicy | None:
    return next((policy for name, policy in flags if document.get(name)), None)
