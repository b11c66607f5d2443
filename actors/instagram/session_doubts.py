"""Errors of a call that may be the account's trouble rather than the call's. Pure.

Instagram words a dead session in several ways, and a reply may say less than it seems to: a bare
404 is what a challenged account gets on some paths, and what a missing page is (aiograpi 2.1.2,
mixins/private.py); "please wait" with `require_login` is what a session gets that is over
(Datalux/Osintgram issues 1095 and 1099). Then the account's own page is asked.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from aiograpi.exceptions import ClientLoginRequired, LoginRequired, PreLoginRequired

from actors.instagram.error_policies import LOGIN_REQUIRED, ErrorPolicy, Outcome
from actors.instagram.reply import Reply, reply_of
from actors.instagram.reply_policies import page_of, policy_for_words

_UNAUTHORIZED: Final = 401
_NOT_FOUND: Final = 404

#: A bare 404 on a path that the account's own page contradicts.
NOT_FOUND_UNCLEAR: Final = ErrorPolicy(
    Outcome.RETRY,
    "not_found_unclear",
    "Instagram answered 404 without saying what was not found.",
    ambiguous=True,
)

#: A bare 404 on two paths, of which one exists for every account.
CHALLENGE_CONFIRMED: Final = ErrorPolicy(
    Outcome.HOLD,
    "challenge_required",
    "Instagram hides everything from the account, its own page included: it asks to confirm that it"
    " is really you.",
    remedy="Confirm in the app, then resume the account.",
)


class Doubt(Enum):
    """What an error leaves open about its account."""

    NONE = auto()
    #: The session is over.
    SESSION_OVER = auto()
    #: The session may be over.
    SESSION_DOUBTFUL = auto()
    #: The account may be challenged.
    CHALLENGE_DOUBTFUL = auto()


def doubt_of(error: BaseException) -> Doubt:
    """Tell what an error of a call says about the session.

    A 401 that is not Instagram's own JSON may be a proxy's and proves nothing.
    """
    reply = reply_of(error)
    if reply is None:
        is_over = isinstance(error, (LoginRequired, PreLoginRequired, ClientLoginRequired))
        return Doubt.SESSION_OVER if is_over else Doubt.NONE
    if _is_over(reply):
        return Doubt.SESSION_OVER
    if is_bare_not_found(reply):
        return Doubt.CHALLENGE_DOUBTFUL
    return Doubt.SESSION_DOUBTFUL if _denies_login(reply) else Doubt.NONE


def proves_session_over(error: BaseException) -> bool:
    """Whether the account's own page says with this error that the session is over."""
    return doubt_of(error) in (Doubt.SESSION_OVER, Doubt.SESSION_DOUBTFUL)


def _is_over(reply: Reply) -> bool:
    return policy_for_words(reply) is LOGIN_REQUIRED or _redirects_to_login(reply)


def _denies_login(reply: Reply) -> bool:
    if reply.document is None:
        return False
    return reply.status == _UNAUTHORIZED or reply.document.get("require_login") is True


def _redirects_to_login(reply: Reply) -> bool:
    return "/accounts/login" in page_of(reply)


def is_bare_not_found(reply: Reply) -> bool:
    """Whether a 404 is not Instagram's JSON, which would say what was not found."""
    return reply.status == _NOT_FOUND and reply.document is None
