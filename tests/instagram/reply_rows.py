"""The form of a row: one reply of Instagram, where it comes, and what must follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

Where = Literal["dm", "comment", "profile", "thread", "lookup"]


@dataclass(frozen=True)
class Expected:
    """What becomes of a job and its account.

    Parameters:
      status: The job's status when it ends, or when its account rests or is held.
      code: The job's error, or why it waits.
      account: `none`, `kind` or `account` (that kind of action, or the account, rests) or `held`.
      writes: Requests that write, each of which is charged.
      logins: Logins with the password.
    """

    status: str
    code: str
    account: str = "none"
    writes: int = 1
    logins: int = 0


@dataclass(frozen=True)
class Row:
    """One reply.

    Parameters:
      name: Names the row when it fails.
      where: Which call gets it: the write of a DM or comment; the reads before a DM, of its
        recipient's profile or thread; or a lookup.
      status: The HTTP status.
      body: The JSON, or another body's text.
      expected: What must follow.
      source: Where it was seen in public.
      headers: More headers.
      stored: Whether Instagram stores the write although it replies so.
    """

    name: str
    where: Where
    status: int
    body: Any
    expected: Expected
    source: str
    headers: Mapping[str, str] = field(default_factory=dict)
    stored: bool = False

    def effects(self) -> dict[str, Any]:
        """The fault that makes the fake Instagram reply so."""
        status = {"status_after_effect" if self.stored else "status": self.status}
        return {**status, "body": self.body, **({"headers": self.headers} if self.headers else {})}


def fail(message: Any = None, **fields: Any) -> dict[str, Any]:
    """A body of Instagram's that says why it refuses."""
    return {"message": message, "status": "fail", **fields}


def item_ack(message: Any, code: Any = "403", **fields: Any) -> dict[str, Any]:
    """A DM's body, which carries a status of its own and explains itself in its payload."""
    payload = {"client_context": "6800090932895711343", "message": message}
    return {"action": "item_ack", "status_code": code, "payload": payload, **fields}


def feedback(message: str, title: str = "", **fields: Any) -> dict[str, Any]:
    """A body that requires feedback."""
    titled = {"feedback_title": title} if title else {}
    return fail("feedback_required", feedback_message=message, **titled, **fields)


def failed(code: str, *, writes: int = 1) -> Expected:
    """The job fails; its account is untouched."""
    return Expected("failed", code, writes=writes)


def held(code: str, *, logins: int = 0, writes: int = 1) -> Expected:
    """The account is held until a person acts."""
    return Expected("held", code, "held", writes, logins)


def rests(code: str) -> Expected:
    """The whole account rests."""
    return Expected("waiting", code, "account")


#: This kind of action rests.
KIND_RESTS: Final = Expected("waiting", "feedback_required", "kind")
#: Refused in unknown words: three tries.
UNKNOWN: Final = failed("refused_unclear", writes=3)
#: Refused for its content: a second try tells.
CONTENT: Final = failed("content_refused", writes=2)
#: Nobody can tell whether it arrived: three writes, each searched for.
DOUBT: Final = Expected("uncertain", "outcome_unknown", writes=3)
#: Its reply was lost, and it was found.
FOUND: Final = Expected("succeeded", "", writes=1)


def before_the_write(expected: Expected) -> Expected:
    """The same, where the write is never reached."""
    return replace(expected, writes=0)
