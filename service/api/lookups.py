"""Profiles and posts: fresh copies at once, stale ones while one look-up runs for all."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from service.api import lookup_openapi
from service.api.auth import Caller, WebParts
from service.api.lookup_fast_path import send_cached
from service.api.lookup_responses import batch_item, failed_item, failure_of
from service.api.schemas import invalid
from service.dependencies import AppServices
from service.http.errors import error_response
from service.instagram.ids import InvalidIdentifier
from service.lookups.service import MAX_WAIT_SECONDS, Found, Pending
from service.lookups.targets import LookupTarget, post_target, user_target
from service.redis.client import REDIS_ERRORS

router = APIRouter(tags=["lookups"])

DEFAULT_WAIT_SECONDS: Final = 10.0
MAX_USERNAMES: Final = 50
NDJSON: Final = "application/x-ndjson"

#: A preference among others (RFC 7240).
_PREFERRED: Final = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?([0-9]{1,6})\b", re.IGNORECASE)
_NO_STORE: Final = {
    "code": "store_unavailable",
    "message": "The store does not answer as it should: ask again.",
}

Wait = Annotated[
    float | None,
    Query(ge=0, allow_inf_nan=False, description="Seconds to wait for a look-up, at most 25"),
]
Prefer = Annotated[str | None, Header(description="`wait=N`, where there is no `?wait=`")]
#: Read where the copy is told; named here for the documentation.
IfNoneMatch = Annotated[
    str | None, Header(alias="If-None-Match", description="The `ETag` of what is there already")
]


@router.head("/users/{username:path}", include_in_schema=False)
@router.get("/users/{username:path}", response_class=Response, responses=lookup_openapi.USER)
async def user(
    username: str,
    caller: Caller,
    web: WebParts,
    wait: Wait = None,
    prefer: Prefer = None,
    _if_none_match: IfNoneMatch = None,
) -> Response:
    """Look a profile up by its username (in any case, with or without `@`) or its link."""
    target = _target("username", user_target, username)
    return await _answer(web, target, caller, wait, prefer)


@router.head("/posts/{shortcode:path}", include_in_schema=False)
@router.get("/posts/{shortcode:path}", response_class=Response, responses=lookup_openapi.POST)
async def post(
    shortcode: str,
    caller: Caller,
    web: WebParts,
    wait: Wait = None,
    prefer: Prefer = None,
    _if_none_match: IfNoneMatch = None,
) -> Response:
    """Look a post up by its shortcode, its link (percent-encoded) or its media id."""
    target = _target("shortcode", post_target, shortcode)
    return await _answer(web, target, caller, wait, prefer)


@router.get("/users", response_class=Response, responses=lookup_openapi.USERS)
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
    if not 1 <= len(names) <= MAX_USERNAMES:
        raise invalid("username", f"give 1 to {MAX_USERNAMES} of them, each as username=NAME")
    seconds, _ = _wait_seconds(wait, prefer)
    if NDJSON in request.headers.get("accept", ""):
        return NdjsonResponse(
            [asyncio.create_task(_line(web, name, seconds, caller)) for name in names]
        )
    found = await asyncio.gather(
        *(_item(web, name, seconds, caller) for name in names), return_exceptions=True
    )
    body = b",".join(_finished(names, found))
    headers = {"Cache-Control": "private, no-cache"}
    return Response(b'{"items":[%b]}' % body, headers=headers, media_type="application/json")


class NdjsonResponse(StreamingResponse):
    """Each item on a line, as they come.

    Parameters:
      items: Tasks, each for one of them; they end with the connection.
    """

    def __init__(self, items: Sequence[asyncio.Task[bytes]]) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(self._lines(), headers=headers, media_type=NDJSON)
        self._items = items

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell them, for as long as somebody listens."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            for item in self._items:
                item.cancel()

    async def _lines(self) -> AsyncIterator[bytes]:
        for item in asyncio.as_completed(self._items):
            yield await item + b"\n"


class CachedResponse(Response):
    """A copy, as `AtHand` tells it.

    Parameters:
      seen: The copy.
      headers: More headers.
    """

    def __init__(self, seen: Found, headers: Mapping[str, str]) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(headers)
        self._seen = seen

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Tell it, or that who asks has it already."""
        await send_cached(self._seen, scope, send, self.raw_headers)


async def _answer(
    web: AppServices, target: LookupTarget, caller: str, wait: float | None, prefer: str | None
) -> Response:
    seconds, applied = _wait_seconds(wait, prefer)
    answer = await web.lookups.get(target, seconds, caller)
    if isinstance(answer, Found):
        return CachedResponse(answer, applied)
    refusal = failure_of(answer)
    headers = {**refusal.headers, **applied}
    if not isinstance(answer, Pending):
        return error_response(refusal.status, headers=headers, **refusal.error)
    body = {"status": refusal.error["code"], **refusal.error}
    del body["code"]
    return JSONResponse(body, refusal.status, headers)


async def _item(web: AppServices, name: str, seconds: float, caller: str) -> bytes:
    try:
        target = user_target(name)
    except InvalidIdentifier as error:
        return failed_item(name, {"code": "invalid_request", "message": f"username: {error}"})
    return batch_item(name, await web.lookups.get(target, seconds, caller))


async def _line(web: AppServices, name: str, seconds: float, caller: str) -> bytes:
    try:
        return await _item(web, name, seconds, caller)
    except REDIS_ERRORS:
        return failed_item(name, _NO_STORE)


def _finished(names: Sequence[str], found: Sequence[bytes | BaseException]) -> Iterator[bytes]:
    """What was found for each; an error only where it is everybody's.

    Raises:
      BaseException: The first of them.
    """
    failed = [each for each in found if isinstance(each, BaseException)]
    if failed and (len(failed) == len(found) or not isinstance(failed[0], REDIS_ERRORS)):
        raise failed[0]
    for name, each in zip(names, found, strict=True):
        yield each if isinstance(each, bytes) else failed_item(name, _NO_STORE)


def _target(field: str, read: Callable[[str], LookupTarget], given: str) -> LookupTarget:
    try:
        return read(given)
    except InvalidIdentifier as error:
        raise invalid(field, str(error)) from None


def _wait_seconds(wait: float | None, prefer: str | None) -> tuple[float, dict[str, str]]:
    """How long to wait, and what is told of it where that was a preference."""
    if wait is not None:
        return min(wait, MAX_WAIT_SECONDS), {}
    preferred = _PREFERRED.search(prefer or "")
    if preferred is None:
        return DEFAULT_WAIT_SECONDS, {}
    seconds = min(int(preferred[1]), int(MAX_WAIT_SECONDS))
    return float(seconds), {"Preference-Applied": f"wait={seconds}"}
