"""What a job is: its states, the only ways between them, and what a rule or a caller asks for.

Pure data. The transition table below is the only one: `ledger.py` renders it into the Lua
scripts, which refuse every other change of state.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal, NamedTuple

from service.photos.photo import Photo, PhotoUrl

Kind = Literal["dm", "comment", "lookup", "followers", "following"]
#: What rules and callers may ask to be written.
Write = Literal["dm", "comment"]
#: What a person may stop by itself.
Pausable = Literal["dm", "comment", "lookup"]
FollowerKind = Literal["followers", "following"]

KINDS: Final[tuple[Kind, ...]] = ("dm", "comment", "lookup", "followers", "following")
FOLLOWER_KINDS: Final[frozenset[FollowerKind]] = frozenset({"followers", "following"})
DEFAULT_PRIORITY: Final = 5
MAX_DELAY_MS: Final = 365 * 24 * 3600 * 1000


def rate_limit_kind(kind: str) -> str:
    """What kind of action a job is, for pauses and rests: everything that only reads is one."""
    return kind if kind in ("dm", "comment") else "lookup"


class Status(StrEnum):
    """Where a job stands."""

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


FINAL: Final = frozenset(
    {Status.SUCCEEDED, Status.FAILED, Status.CANCELED, Status.EXPIRED, Status.UNCERTAIN}
)

_S = Status
_STOPPED = frozenset({_S.CANCELED, _S.EXPIRED, _S.FAILED})

#: From each state, the states it may go to. `failed` and `uncertain` open again only by `retry`.
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
    _S.FAILED: frozenset({_S.QUEUED}),
    _S.UNCERTAIN: frozenset({_S.QUEUED}),
}


@dataclass(frozen=True)
class Failure:
    """Why a job did not do what it was for.

    Parameters:
      code: A stable word for programs (`recipient_not_found`).
      message: A sentence for people; never carries a secret or the job's text.
      retryable: Whether `POST /jobs/{id}/retry` has a chance.
    """

    code: str
    message: str
    retryable: bool = False


class JobDraft(NamedTuple):
    """A job as a rule or a caller asks for it, before the ledger gives it an id.

    Parameters:
      kind: What to do.
      account: Name of the account that does it.
      to: Recipient of a DM: `some.handle`, a pk in digits, or `@123` for an all-digit handle.
      post: What to comment on: a shortcode, a media pk or a media id.
      text: The rendered text; empty for a photo.
      rule: Name of the rule that made it; None for a direct job.
      callback: Name of the callback to tell; None for nobody.
      delay_ms: From acceptance to the first moment it may run.
      expires_ms: From acceptance to the moment it is no longer worth doing; None for never.
      run_at_ms: An absolute first moment (unix ms) instead of `delay_ms`.
      expires_at_ms: An absolute end (unix ms) instead of `expires_ms`.
      once_key: A business key: the same key under the same rule makes no second job.
      priority: 0 to 9, higher goes first.
      metadata: The caller's own; comes back in the callback.
      failure: Set if the job is rejected at creation (no usable recipient, a failed template).
      dry_run: Do everything but the write.
      most: The most rows of a walk; None for all.
      readers: Accounts of which one is chosen when the job is made; `account` is '' then.
      photo: What a DM sends instead of a text.
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
    priority: int = DEFAULT_PRIORITY
    metadata: dict[str, Any] | None = None
    failure: Failure | None = None
    dry_run: bool = False
    max_rows: int | None = None
    candidate_accounts: tuple[str, ...] = ()
    photo: Photo | PhotoUrl | None = None


#: Two characters of base32 at a time: `base64.b32encode` takes thrice as long.
_PAIRS: Final = tuple(map("".join, itertools.product("abcdefghijklmnopqrstuvwxyz234567", repeat=2)))
_SIXTY: Final = (1 << 60) - 1


def derived_id(prefix: str, *parts: str) -> str:
    """An id that the same parts always give.

    Parameters:
      prefix: What the id names (`job`, `dlv`).
      parts: The identity. Lengths are hashed too, so that no two lists of parts collide.

    Returns:
      `prefix_` and 26 characters of base32 (130 bits of SHA-256).
    """
    told = b"".join([len(raw).to_bytes(8, "big") + raw for raw in map(str.encode, parts)])
    bits = int.from_bytes(hashlib.sha256(told).digest()[:17]) >> 6
    first, middle, last = bits >> 120, bits >> 60 & _SIXTY, bits & _SIXTY
    return f"{prefix}_{_PAIRS[first]}{_twelve(middle)}{_twelve(last)}"


def _twelve(bits: int) -> str:
    """60 bits as base32; a door makes two ids of each event, and a loop would double that."""
    two = _PAIRS
    return (
        f"{two[bits >> 50]}{two[bits >> 40 & 1023]}{two[bits >> 30 & 1023]}"
        f"{two[bits >> 20 & 1023]}{two[bits >> 10 & 1023]}{two[bits & 1023]}"
    )
