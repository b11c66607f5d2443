"""What a verification searches for, and from when on it may have been stored."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final

from service.jobs.verification_report import VerificationReport

#: Returns which of the given Instagram ids belong to other jobs.
OwnedByOthers = Callable[[Sequence[str]], Awaitable[Set[str]]]
#: Returns which of the given tokens belong to jobs that the store knows.
KnownTokens = Callable[[Sequence[str]], Awaitable[Set[str]]]

# `Date` headers and comment times are whole seconds from different machines. Too early a limit is
# harmless: other jobs' writes are excluded by id. Too late a limit would send the write twice.
_DATED_SLACK_MS: Final = 5_000
# Without a `Date` header only our own clock is left, which may be minutes off.
_UNDATED_SLACK_MS: Final = 300_000


async def no_owner(_ids: Sequence[str]) -> Set[str]:
    """An `OwnedByOthers` that knows no other jobs."""
    return frozenset()


@dataclass(frozen=True)
class LostTime:
    """A time of which the store has lost the history: a job that it has forgotten may have written.

    Parameters:
      ended_at: When it was over, in monotonic seconds of this process.
      known_tokens: Returns which tokens belong to jobs that the store knows.
    """

    ended_at: float
    known_tokens: KnownTokens


@dataclass(frozen=True)
class WriteQuery:
    """The write to search for.

    Parameters:
      own_pk: The pk of the account that sent it.
      text: Its text; None for a photo.
      intended_at: When its intent was recorded, in monotonic seconds of this process.
      client_context: A DM's token; comments do not show theirs.
      owned_by_others: Returns which ids belong to other jobs.
      lost: If given, the write may be a forgotten job's of this time, with another token.
      report: What was read for it.
    """

    own_pk: str
    text: str | None
    intended_at: float
    client_context: str = ""
    owned_by_others: OwnedByOthers = no_owner
    lost: LostTime | None = None
    report: VerificationReport = field(default_factory=VerificationReport, compare=False)


def earliest_stored_ms(reply: Any, query: WriteQuery) -> int:
    """The earliest time at which the write may have been stored, by Instagram's clock.

    The clocks of Redis, this machine and Instagram may differ, so only the age of the intent is
    carried from one to another.

    Parameters:
      reply: The HTTP response just received, or None.
      query: The write to search for.

    Returns:
      Unix time in ms.
    """
    at_ms, slack_ms = _instagram_ms(reply, query.intended_at)
    return at_ms - slack_ms


def latest_lost_ms(reply: Any, lost: LostTime) -> int:
    """The latest time at which a forgotten job may have written, by Instagram's clock.

    Parameters:
      reply: The HTTP response just received, or None.
      lost: The time of which the store has lost the history.

    Returns:
      Unix time in ms.
    """
    at_ms, slack_ms = _instagram_ms(reply, lost.ended_at)
    return at_ms + slack_ms


def _instagram_ms(reply: Any, monotonic: float) -> tuple[int, int]:
    """A monotonic time of this process by Instagram's clock, and how far that may be off, in ms."""
    age_ms = round((time.monotonic() - monotonic) * 1000)
    instagram_ms = _date_ms(reply)
    if instagram_ms is None:
        return round(time.time() * 1000) - age_ms, _UNDATED_SLACK_MS
    return instagram_ms - age_ms, _DATED_SLACK_MS


def _date_ms(reply: Any) -> int | None:
    try:
        moment = parsedate_to_datetime(reply.headers["date"])
        return round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return None
