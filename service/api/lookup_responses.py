"""Lookup results as HTTP responses: a copy and its age, or why there is none."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from service.http.rate_limit_headers import rate_limit_headers
from service.lookups.service import ENDED, Found, LookupAnswer, NotFound, Pending
from service.lookups.shared_cache import Unavailable
from service.time_formats.timestamps import rfc3339

#: Retry-After of a lookup in progress, and while every account is held.
RETRY_PENDING_SECONDS, RETRY_HELD_SECONDS = 2, 60

#: Problems of the target itself, by Instagram's code: HTTP status, error code and message.
_TARGET_PROBLEMS: Final[Mapping[str, tuple[int, str, str]]] = {
    "user_not_found": (404, "not_found", "There is no such user."),
    "media_not_found": (404, "not_found", "There is no such post."),
    "media_unavailable": (404, "not_found", "The post does not exist or was removed."),
    "invalid_media_id": (404, "not_found", "There is no such post."),
    "private_account": (403, "private", "The account is private: only its followers see this."),
    "age_restricted": (403, "private", "Instagram shows this user to adults only."),
}


@dataclass(frozen=True)
class LookupFailure:
    """A response without a copy.

    Parameters:
      status: The HTTP status.
      headers: Additional headers.
      error: `code`, `message` and more fields.
    """

    status: int
    headers: Mapping[str, str]
    error: Mapping[str, Any]


def freshness_headers(found: Found) -> list[tuple[bytes, bytes]]:
    """Return the ETag, Age, Cache-Control and, if needed, Warning headers of a copy."""
    max_age = max(0, math.floor(found.fresh_seconds))
    headers = [
        (b"etag", b'"%b"' % found.value.etag.encode()),
        (b"age", b"%d" % (found.value.age_ms // 1000)),
        (b"cache-control", b"private, max-age=%d" % max_age),
    ]
    if warning := warning_text(found):
        text = "Response is Stale" if warning == "stale" else f"Revalidation Failed: {warning}"
        number = 110 if warning == "stale" else 111
        headers.append((b"warning", f'{number} - "{text}"'.encode()))
    return headers


def warning_text(found: Found) -> str | None:
    """Return what is wrong with a copy: `stale`, why there is no newer one, or None."""
    if found.problem is not None:
        return found.problem
    return "stale" if found.fresh_seconds <= 0 else None


def etag_matches(etag: str, if_none_match: Iterable[str]) -> bool:
    """Whether the caller already has this content.

    Parameters:
      etag: The content's entity tag, without quotes.
      if_none_match: The values of all If-None-Match headers.
    """
    tags = (tag.strip() for value in if_none_match for tag in value.split(","))
    return any(tag == "*" or tag.removeprefix("W/") == f'"{etag}"' for tag in tags)


def failure_of(answer: NotFound | Unavailable | Pending) -> LookupFailure:
    """Return the response for a lookup that gave no copy."""
    if isinstance(answer, Pending):
        return _pending(answer)
    return _unavailable(answer) if isinstance(answer, Unavailable) else _not_found(answer)


def batch_item(name: str, answer: LookupAnswer) -> bytes:
    """Return one item of a batch as JSON; a copy's JSON is embedded without parsing it.

    Parameters:
      name: The username as the request gave it.
      answer: Its lookup's answer.
    """
    if not isinstance(answer, Found):
        return failed_item(name, failure_of(answer).error)
    fields = {"age_seconds": answer.value.age_ms // 1000, "warning": warning_text(answer)}
    tail = _json({"error": None, **fields})
    return b'{"username":%b,"user":%b,%b' % (_json(name), answer.value.body, tail[1:])


def failed_item(name: str, error: Mapping[str, Any]) -> bytes:
    """Return one failed item of a batch as JSON.

    Parameters:
      name: The username as the request gave it.
      error: `code`, `message` and more fields.
    """
    fields = {"user": None, "error": error, "age_seconds": None, "warning": None}
    return b'{"username":%b,%b' % (_json(name), _json(fields)[1:])


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _pending(answer: Pending) -> LookupFailure:
    seconds = max(RETRY_PENDING_SECONDS, math.ceil(answer.retry_seconds))
    message = "The lookup is in progress: try again, or follow the job."
    headers = {"Location": f"/jobs/{answer.job_id}", "Retry-After": str(seconds)}
    error = {"code": "pending", "message": message, "job_id": answer.job_id}
    return LookupFailure(202, headers, {**error, "retry_after_seconds": seconds})


def _not_found(answer: NotFound) -> LookupFailure:
    code, seconds = answer.problem["code"], max(1, math.ceil(answer.retry_seconds))
    if code in _TARGET_PROBLEMS:
        status, shown, message = _TARGET_PROBLEMS[code]
        headers = {"Cache-Control": f"private, max-age={seconds}"}
        return LookupFailure(status, headers, {"code": shown, "message": message, "reason": code})
    if answer.problem is ENDED:
        message = "The lookup was canceled or expired before its turn: try again."
        return _retry_later(503, seconds, code=code, message=message)
    message = "The lookup failed at Instagram, and there is no copy: try again later."
    return _retry_later(502, seconds, code="upstream_error", message=message, reason=code)


def _unavailable(unavailable: Unavailable) -> LookupFailure:
    if unavailable.reason == "no_account":
        message = "No account may do lookups: give one the role 'read' or 'both'."
        return LookupFailure(503, {}, {"code": "no_account", "message": message})
    if unavailable.seconds is None:
        message = "All accounts that do lookups are paused or held: GET /accounts shows why."
        return _retry_later(
            503,
            RETRY_HELD_SECONDS,
            code="account_held",
            message=message,
            reason=unavailable.reason,
            since=rfc3339(unavailable.since_ms),
        )
    message = "All accounts that do lookups are rate limited or cooling down until `until`."
    seconds = max(1, math.ceil(unavailable.seconds))
    limited = _retry_later(
        429,
        seconds,
        code="rate_limited",
        message=message,
        reason=unavailable.reason,
        until=rfc3339(unavailable.until_ms),
    )
    return replace(limited, headers=rate_limit_headers(unavailable.reason, seconds))


def _retry_later(status: int, seconds: int, **error: Any) -> LookupFailure:
    headers = {"Retry-After": str(seconds)}
    return LookupFailure(status, headers, {**error, "retry_after_seconds": seconds})
