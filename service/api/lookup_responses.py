"""Answers to look-ups as HTTP tells them: a copy and how old it is, or why there is none."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from service.lookups.service import ENDED, Found, LookupAnswer, NotFound, Pending
from service.lookups.shared_cache import Unavailable
from service.time_formats.timestamps import rfc3339

#: When a look-up that goes on may have ended, and a held account been seen to.
RETRY_PENDING_SECONDS, RETRY_HELD_SECONDS = 2, 60

#: Problems of the target itself: the status, the code and what to say of it.
_TARGETS: Final[Mapping[str, tuple[int, str, str]]] = {
    "user_not_found": (404, "not_found", "There is no such user."),
    "media_not_found": (404, "not_found", "There is no such post."),
    "media_unavailable": (404, "not_found", "The post is not there (any more)."),
    "invalid_media_id": (404, "not_found", "There is no such post."),
    "private_account": (403, "private", "The account is private: only its followers see this."),
    "age_restricted": (403, "private", "Instagram shows this user to adults only."),
}


@dataclass(frozen=True)
class LookupFailure:
    """An answer without a copy.

    Parameters:
      status: The HTTP status.
      headers: More headers.
      error: `code`, `message` and more.
    """

    status: int
    headers: Mapping[str, str]
    error: Mapping[str, Any]


def freshness_headers(seen: Found) -> list[tuple[bytes, bytes]]:
    """What is told with a copy.

    Parameters:
      seen: The copy.
    """
    left = max(0, math.floor(seen.fresh_seconds))
    headers = [
        (b"etag", b'"%b"' % seen.value.etag.encode()),
        (b"age", b"%d" % (seen.value.age_ms // 1000)),
        (b"cache-control", b"private, max-age=%d" % left),
    ]
    if warning := warning_text(seen):
        text = "Response is Stale" if warning == "stale" else f"Revalidation Failed: {warning}"
        number = 110 if warning == "stale" else 111
        headers.append((b"warning", f'{number} - "{text}"'.encode()))
    return headers


def warning_text(seen: Found) -> str | None:
    """What is wrong with a copy: `stale`, why there is no newer one, or None."""
    if seen.problem is not None:
        return seen.problem
    return "stale" if seen.fresh_seconds <= 0 else None


def etag_matches(etag: str, if_none_match: Iterable[str]) -> bool:
    """Whether who asks has this content already.

    Parameters:
      etag: Its name.
      if_none_match: The values of every If-None-Match header.
    """
    given = (tag.strip() for value in if_none_match for tag in value.split(","))
    return any(tag == "*" or tag.removeprefix("W/") == f'"{etag}"' for tag in given)


def failure_of(answer: NotFound | Unavailable | Pending) -> LookupFailure:
    """What is told instead of a copy.

    Parameters:
      answer: Why there is none.
    """
    if isinstance(answer, Pending):
        return _pending(answer)
    return _unavailable(answer) if isinstance(answer, Unavailable) else _not_found(answer)


def batch_item(name: str, answer: LookupAnswer) -> bytes:
    """One of several, as JSON; what was found is not read, only put in its place.

    Parameters:
      name: As it was asked for.
      answer: What came of it.
    """
    if not isinstance(answer, Found):
        return failed_item(name, failure_of(answer).error)
    told = {"age_seconds": answer.value.age_ms // 1000, "warning": warning_text(answer)}
    rest = _json({"error": None, **told})
    return b'{"username":%b,"user":%b,%b' % (_json(name), answer.value.body, rest[1:])


def failed_item(name: str, error: Mapping[str, Any]) -> bytes:
    """One of several for which there is none, as JSON.

    Parameters:
      name: As it was asked for.
      error: Why.
    """
    told = {"user": None, "error": error, "age_seconds": None, "warning": None}
    return b'{"username":%b,%b' % (_json(name), _json(told)[1:])


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _pending(answer: Pending) -> LookupFailure:
    seconds = max(RETRY_PENDING_SECONDS, math.ceil(answer.retry_seconds))
    message = "It is being looked up: ask again, or follow the job."
    headers = {"Location": f"/jobs/{answer.job_id}", "Retry-After": str(seconds)}
    error = {"code": "pending", "message": message, "job_id": answer.job_id}
    return LookupFailure(202, headers, {**error, "retry_after_seconds": seconds})


def _not_found(answer: NotFound) -> LookupFailure:
    code, seconds = answer.problem["code"], max(1, math.ceil(answer.retry_seconds))
    if code in _TARGETS:
        status, shown, message = _TARGETS[code]
        headers = {"Cache-Control": f"private, max-age={seconds}"}
        return LookupFailure(status, headers, {"code": shown, "message": message, "reason": code})
    if answer.problem is ENDED:
        message = "The look-up was canceled, or its turn did not come in time: ask again."
        return _retry_later(503, seconds, code=code, message=message)
    message = "Instagram could not be read, and there is no copy: ask again later."
    return _retry_later(502, seconds, code="upstream_error", message=message, reason=code)


def _unavailable(shut: Unavailable) -> LookupFailure:
    if shut.reason == "no_account":
        message = "No account may look things up: give one the role 'read' or 'both'."
        return LookupFailure(503, {}, {"code": "no_account", "message": message})
    if shut.seconds is None:
        message = "Every account that looks things up is stopped: see GET /accounts, resume one."
        return _retry_later(
            503,
            RETRY_HELD_SECONDS,
            code="account_held",
            message=message,
            reason=shut.reason,
            since=rfc3339(shut.since_ms),
        )
    message = "Every account that looks things up has done enough, or rests, until `until`."
    return _retry_later(
        429,
        max(1, math.ceil(shut.seconds)),
        code="rate_limited",
        message=message,
        reason=shut.reason,
        until=rfc3339(shut.until_ms),
    )


def _retry_later(status: int, seconds: int, **error: Any) -> LookupFailure:
    headers = {"Retry-After": str(seconds)}
    return LookupFailure(status, headers, {**error, "retry_after_seconds": seconds})
