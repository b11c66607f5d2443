"""Profiles and posts: fresh copies at once, stale ones while one look-up runs for all."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from service.api.auth import Caller, WebParts
from service.api.errors import error_response
from service.api.requests import invalid
from service.inbound.handles import NotAHandle
from service.jobs.records import rfc3339
from service.lookups.asking import MAX_WAIT_SECONDS, Answer, Pending, Seen, Unseen
from service.lookups.sights import Shut
from service.lookups.targets import Target, post_target, user_target
from service.web import Web

router = APIRouter(tags=["look-ups"])

DEFAULT_WAIT_SECONDS: Final = 10.0
MOST_USERNAMES: Final = 50
NDJSON: Final = "application/x-ndjson"
#: When a look-up that goes on may have ended, and a held account been seen to.
RETRY_PENDING, RETRY_HELD = 5, 60

_PREFERRED: Final = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?([0-9]{1,6})", re.IGNORECASE)

_MISSING: Final = frozenset(
    {"user_not_found", "media_not_found", "media_unavailable", "invalid_media_id"}
)
_CLOSED: Final = frozenset({"private_account", "age_restricted"})

Wait = Annotated[
    float | None,
    Query(ge=0, allow_inf_nan=False, description="Seconds to wait for a look-up, at most 25"),
]
Prefer = Annotated[str | None, Header(description="`wait=N`, where there is no `?wait=`")]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match")]


@router.get("/users/{username}")
async def user(
    username: str,
    caller: Caller,
    web: WebParts,
    wait: Wait = None,
    prefer: Prefer = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Look a profile up."""
    target = _target("username", user_target, username)
    return _response(await web.asking.ask(target, _patience(wait, prefer), caller), if_none_match)


@router.get("/posts/{shortcode:path}")
async def post(
    shortcode: str,
    caller: Caller,
    web: WebParts,
    wait: Wait = None,
    prefer: Prefer = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Look a post up by its shortcode, its link (percent-encoded) or its media id."""
    target = _target("shortcode", post_target, shortcode)
    return _response(await web.asking.ask(target, _patience(wait, prefer), caller), if_none_match)


@router.get("/users")
async def users(
    request: Request,
    caller: Caller,
    web: WebParts,
    username: Annotated[list[str] | None, Query(description="1 to 50 of them")] = None,
    wait: Wait = None,
    prefer: Prefer = None,
) -> Response:
    """Look several profiles up at once; what fails for one leaves the others as they are."""
    names = username or []
    if not 1 <= len(names) <= MOST_USERNAMES:
        raise invalid("username", f"give 1 to {MOST_USERNAMES} of them, each as username=NAME")
    tasks = [_item(web, name, _patience(wait, prefer), caller) for name in names]
    if NDJSON in request.headers.get("accept", ""):
        return StreamingResponse(_lines(tasks), media_type=NDJSON)
    items = b",".join(await asyncio.gather(*tasks))
    return Response(b'{"items":[%b]}' % items, media_type="application/json")


async def _lines(tasks: Sequence[Any]) -> AsyncIterator[bytes]:
    """Each item as it comes."""
    for item in asyncio.as_completed(tasks):
        yield await item + b"\n"


async def _item(web: Web, name: str, seconds: float, caller: str) -> bytes:
    """One of several, as JSON; what was found is not read, only put in its place."""
    try:
        answer = await web.asking.ask(user_target(name), seconds, caller)
    except NotAHandle as error:
        problem = {"code": "invalid_request", "message": f"username: {error}"}
        return _item_of(name, b"null", problem)
    if isinstance(answer, Seen):
        return _item_of(name, answer.copy.body, None)
    _, _, refusal = _refusal(answer)
    return _item_of(name, b"null", refusal)


def _item_of(name: str, found: bytes, error: Mapping[str, Any] | None) -> bytes:
    shown, said = json.dumps(name).encode(), json.dumps(error).encode()
    return b'{"username":%b,"user":%b,"error":%b}' % (shown, found, said)


def _target(field: str, read: Callable[[str], Target], given: str) -> Target:
    try:
        return read(given)
    except NotAHandle as error:
        raise invalid(field, str(error)) from None


def _patience(wait: float | None, prefer: str | None) -> float:
    if wait is None:
        preferred = _PREFERRED.search(prefer or "")
        wait = DEFAULT_WAIT_SECONDS if preferred is None else float(preferred[1])
    return min(wait, MAX_WAIT_SECONDS)


def _response(answer: Answer, if_none_match: str | None) -> Response:
    if isinstance(answer, Seen):
        return _shown(answer, if_none_match)
    status, headers, refusal = _refusal(answer)
    if isinstance(answer, Pending):
        body = {"job_id": answer.job_id, "status": "pending"}
        return Response(json.dumps(body), status, headers, media_type="application/json")
    return error_response(status, headers=headers, **refusal)


def _shown(seen: Seen, if_none_match: str | None) -> Response:
    etag = f'"{seen.copy.etag}"'
    headers = {
        "ETag": etag,
        "Age": str(seen.copy.age_ms // 1000),
        "Cache-Control": f"private, max-age={max(0, math.floor(seen.fresh_seconds))}",
    }
    if seen.failing is not None:
        headers["Warning"] = f'111 - "Revalidation Failed: {seen.failing}"'
    elif seen.fresh_seconds <= 0:
        headers["Warning"] = '110 - "Response is Stale"'
    if if_none_match is not None and _matches(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    return Response(seen.copy.body, headers=headers, media_type="application/json")


def _matches(if_none_match: str, etag: str) -> bool:
    tags = (tag.strip().removeprefix("W/") for tag in if_none_match.split(","))
    return any(tag in (etag, "*") for tag in tags)


def _refusal(answer: Unseen | Shut | Pending) -> tuple[int, dict[str, str], dict[str, Any]]:
    """The status, the headers and the error of an answer that is none."""
    if isinstance(answer, Pending):
        headers = {"Location": f"/jobs/{answer.job_id}", "Retry-After": str(RETRY_PENDING)}
        message = "It is being looked up: ask again, or follow the job."
        return 202, headers, {"code": "pending", "message": message, "job_id": answer.job_id}
    if isinstance(answer, Shut):
        return _shut(answer)
    code, message = answer.problem["code"], answer.problem["message"]
    if code in _MISSING:
        return 404, {}, {"code": "not_found", "message": message, "reason": code}
    if code in _CLOSED:
        return 403, {}, {"code": "private", "message": message, "reason": code}
    headers = {"Retry-After": str(RETRY_HELD)}
    return 502, headers, {"code": "upstream_error", "message": message, "reason": code}


def _shut(shut: Shut) -> tuple[int, dict[str, str], dict[str, Any]]:
    times = {"since": rfc3339(shut.since_ms), "until": rfc3339(shut.until_ms)}
    if shut.reason == "no_account":
        message = "No account may look things up: give one the role 'read' or 'both'."
        return 503, {}, {"code": "no_account", "message": message}
    if shut.seconds is None:
        message = "The account that looks things up is held: see GET /accounts, then resume it."
        headers = {"Retry-After": str(RETRY_HELD)}
        return (
            503,
            headers,
            {"code": "account_held", "message": message, "reason": shut.reason, **times},
        )
    message = "The account that looks things up has done enough for now: ask again at `until`."
    headers = {"Retry-After": str(max(1, math.ceil(shut.seconds)))}
    return (
        429,
        headers,
        {"code": "rate_limited", "message": message, "reason": shut.reason, **times},
    )
