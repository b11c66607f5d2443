"""Jobs: kinds, statuses, the allowed transitions, and drafts. Pure data.

The transition table below is the only one: it is rendered into the Lua scripts, which reject every
other change of status.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal, NamedTuple

from service.photos.photo import Photo, PhotoUrl

Kind = Literal["dm", "comment", "lookup", "followers", "following", "report"]
#: The kinds that write, which rules and callers may create.
Write = Literal["dm", "comment"]
#: The kinds that can be paused separately.
Pausable = Literal["dm", "comment", "lookup"]
FollowerKind = Literal["followers", "following"]

KINDS: Final[tuple[Kind, ...]] = ("dm", "comment", "lookup", "followers", "following", "report")
FOLLOWER_KINDS: Final[frozenset[FollowerKind]] = frozenset({"followers", "following"})
#: Reports are of no account: they wait for a turn of their own, so that one is drawn at a time. No
#: configured account can have this name.
REPORTS_QUEUE: Final = "_reports"
#: Why a follower export that succeeded has a part of the list only (lua/lib/follower_ends.lua).
INCOMPLETE_REASONS: Final = (
    "limited_by_instagram",
    "ended_early",
    "repeated_pages",
    "endless_list",
    "rows_dropped",
    "row_limit",
)
DEFAULT_PRIORITY: Final = 5
MAX_DELAY_MS: Final = 365 * 24 * 3600 * 1000


def rate_limit_kind(kind: str) -> str:
    """The kind whose limits, pauses and cooldowns apply to a job: all reads count as `lookup`."""
    return kind if kind in ("dm", "comment") else "lookup"


class Status(StrEnum):
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    WAITING = "waiting"
    HELD = "held"
    RUNNING = "running"
    SENDING = "sending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"
    UNCERTAIN = "uncertain"


#: What a person can say of a write whose outcome is unknown.
SettledAs = Literal["sent", "not_sent"]
#: How a job ends that was settled so.
SETTLED: Final[Mapping[SettledAs, Status]] = {
    "sent": Status.SUCCEEDED,
    "not_sent": Status.FAILED,
}
FINAL: Final = frozenset(
    {Status.SUCCEEDED, Status.FAILED, Status.CANCELED, Status.EXPIRED, Status.UNCERTAIN}
)

_S = Status
_STOPPED = frozenset({_S.CANCELED, _S.EXPIRED, _S.FAILED})

#: The allowed next statuses of each status. Only people leave `failed` (retry, replay) and
#: `uncertain` (retry, settle).
TRANSITIONS: Final[Mapping[Status, frozenset[Status]]] = {
    _S.SCHEDULED: _STOPPED | {_S.QUEUED},
    _S.QUEUED: _STOPPED | {_S.RUNNING, _S.WAITING, _S.HELD},
    _S.WAITING: _STOPPED | {_S.QUEUED, _S.HELD},
    _S.HELD: _STOPPED | {_S.QUEUED},
    _S.RUNNING: _STOPPED | {_S.SENDING, _S.SUCCEEDED, _S.QUEUED, _S.WAITING, _S.HELD},
    _S.SENDING: frozenset({_S.SUCCEEDED, _S.FAILED, _S.UNCERTAIN, _S.QUEUED, _S.WAITING, _S.HELD}),
    _S.SUCCEEDED: frozenset(),
    _S.CANCELED: frozenset(),
    _S.EXPIRED: frozenset(),
    _S.FAILED: frozenset({_S.QUEUED, _S.SCHEDULED}),
    _S.UNCERTAIN: frozenset({_S.QUEUED, _S.SUCCEEDED, _S.FAILED}),
}


@dataclass(frozen=True)
class Failure:
    """Why a job failed.

    Parameters:
      code: A stable code for programs (`recipient_not_found`).
      message: A sentence for people; never contains a secret or the job's text.
      retryable: Whether `POST /jobs/{id}/retry` may succeed.
    """

    code: str
    message: str
    retryable: bool = False


class Recognition(NamedTuple):
    """By what else an event is recognized when it comes again.

    Parameters:
      shape: Which of the sender's forms the body has. The same id in another shape is a duplicate;
        in the same shape with other data it is a conflict.
      raw_fingerprint: A fingerprint that an earlier release recorded for the same data.
      event_key: What several deliveries about one event share, whatever their bodies and ids.
      body_key: What identifies the body, if the sender signs nothing else.
    """

    shape: str | None = None
    raw_fingerprint: str | None = None
    event_key: str | None = None
    body_key: str | None = None


ONLY_BY_ID: Final = Recognition()


class JobDraft(NamedTuple):
    """A job that a rule or a caller asks for, before the ledger gives it an id.

    Parameters:
      kind: What to do.
      account: Name of the account.
      to: Recipient of a DM: `some.handle`, a pk in digits, or `@123` for an all-digit handle.
      post: Post of a comment: a shortcode, a media pk or a media id.
      text: The rendered text; empty for a photo.
      rule: Name of the rule that created it; None for a job from the API.
      callback: Name of the callback endpoint, if any.
      delay_ms: Milliseconds from acceptance until it may run.
      expires_ms: Milliseconds from acceptance until it expires; None for never.
      run_at_ms: When it may run, Unix milliseconds; instead of `delay_ms`.
      expires_at_ms: When it expires, Unix milliseconds; instead of `expires_ms`.
      once_key: Business key: a rule creates one job per key.
      once_fallbacks: Its keys for events that do not have that one, in their order.
      priority: 0 to 9, higher runs first.
      metadata: The caller's own data, returned in the callback.
      failure: Set if the job is rejected at creation (no usable recipient, a template that failed).
      dry_run: Do everything except the write.
      max_rows: The most rows of a follower export; None for all.
      candidate_accounts: Accounts of which one is picked at creation; then `account` is ''.
      photo: Sent by a DM instead of a text.
      report: What a report is about (service/reports/request.py).
    """

    kind: Kind
    account: str
    to: str | None
    post: str | None
    text: str
    rule: str | None = None
    callback: str | None = None
    delay_ms: int = 0
    expires_ms: int | None = None
    run_at_ms: int | None = None
    expires_at_ms: int | None = None
    once_key: str | None = None
    once_fallbacks: tuple[str, ...] = ()
    priority: int = DEFAULT_PRIORITY
    metadata: dict[str, Any] | None = None
    failure: Failure | None = None
    dry_run: bool = False
    max_rows: int | None = None
    candidate_accounts: tuple[str, ...] = ()
    photo: Photo | PhotoUrl | None = None
    report: dict[str, Any] | None = None


#: Encodes two characters of base32 at a time: `base64.b32encode` takes three times as long.
_PAIRS: Final = tuple(map("".join, itertools.product("abcdefghijklmnopqrstuvwxyz234567", repeat=2)))
_MASK_60_BITS: Final = (1 << 60) - 1


def derived_id(prefix: str, *parts: str) -> str:
    """An id derived from parts: the same parts always give the same id.

    Parameters:
      prefix: What the id names (`job`, `dlv`).
      parts: The identity. Lengths are hashed too, so that different lists never collide.

    Returns:
      `prefix_` and 26 characters of base32 (130 bits of SHA-256).
    """
    message = b"".join([len(raw).to_bytes(8, "big") + raw for raw in map(str.encode, parts)])
    bits = int.from_bytes(hashlib.sha256(message).digest()[:17]) >> 6
    first, middle, last = bits >> 120, bits >> 60 & _MASK_60_BITS, bits & _MASK_60_BITS
    return f"{prefix}_{_PAIRS[first]}{_encode_60_bits(middle)}{_encode_60_bits(last)}"


def _encode_60_bits(bits: int) -> str:
    """60 bits as base32; a loop would take twice as long, and each event needs two ids."""
    pairs = _PAIRS
    return (
        f"{pairs[bits >> 50]}{pairs[bits >> 40 & 1023]}{pairs[bits >> 30 & 1023]}"
        f"{pairs[bits >> 20 & 1023]}{pairs[bits >> 10 & 1023]}{pairs[bits & 1023]}"
    )
