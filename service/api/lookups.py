"""Lookups of profiles and posts: fresh copies at once, stale ones while one shared lookup runs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from service.api import lookup_openapi
from service.api.auth import Services, UnmaskedReadCaller
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

#: The `wait` preference of a Prefer header (RFC 7240).
_PREFER_WAIT: Final = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?([0-9]{1,6})\b", re.IGNORECASE)
_STORE_UNAVAILABLE: Final = {
    "code": "store_unavailable",
    "message": "Redis is unavailable: try again.",
}

Wait = Annotated[
    float | None,
    Query(ge=0, allow_inf_nan=False, description="Seconds to wait for a lookup, at most 25"),
]
Prefer = Annotated[str | None, Header(description="`wait=N`; used if there is no `?wait=`")]
#: Evaluated by `send_cached`; declared here for the documentation.
IfNoneMatch = Annotated[
    str | None,
    Header(alias="If-None-Match", description="The `ETag` of the copy that the caller has"),
]


@router.head("/users/{username:path}", include_in_schema=False)
@router.get(
    "/users/{username:path}",
    operation_id="get_user",
    response_class=Response,
    responses=lookup_openapi.USER,
)
async def get_user(
    username: str,
    caller: UnmaskedReadCaller,
    services: Services,
    wait: Wait = None,
    prefer: Prefer = None,
    _if_none_match: IfNoneMatch = None,
) -> Response:
    """Look up a profile by its username (in any case, with or without `@`) or its link."""
    target = _target("username", user_target, username)
    return await _lookup_response(services, target, caller.key_name, wait, prefer)


@router.head("/posts/{shortcode:path}", include_in_schema=False)
@router.get(
    "/posts/{shortcode:path}",
    operation_id="get_post",
    response_class=Response,
    responses=lookup_openapi.POST,
)
async def get_post(
    shortcode: str,
    caller: UnmaskedReadCaller,
    services: Services,
    wait: Wait = None,
    prefer: Prefer = None,
    _if_none_match: IfNoneMatch = None,
) -> Response:
    """Look up a post by its shortcode, its link (percent-encoded) or its media id."""
    target = _target("shortcode", post_target, shortcode)
    return await _lookup_response(services, target, caller.key_name, wait, prefer)


@router.get(
    "/users", operation_id="get_users", response_class=Response, responses=lookup_openapi.USERS
)
async def get_users(
    request: Request,
    caller: UnmaskedReadCaller,
    services: Services,
    username: Annotated[list[str] | None, Query(description="1 to 50 usernames")] = None,
    wait: Wait = None,
    prefer: Prefer = None,
) -> Response:
    """Look up several profiles at once; a failure of one does not affect the others."""
    names = username or []
    if not 1 <= len(names) <= MAX_USERNAMES:
        raise invalid("username", f"send 1 to {MAX_USERNAMES}, each as username=NAME")
    seconds, _ = _wait_seconds(wait, prefer)
    if NDJSON in request.headers.get("accept", ""):
        return NdjsonResponse(
            [
                asyncio.create_task(_item_or_failure(services, name, seconds, caller.key_name))
                for name in names
            ]
        )
    results = await asyncio.gather(
        *(_item(services, name, seconds, caller.key_name) for name in names), return_exceptions=True
    )
    body = b",".join(_batch_items(names, results))
    headers = {"Cache-Control": "private, no-cache"}
    return Response(b'{"items":[%b]}' % body, headers=headers, media_type="application/json")


class NdjsonResponse(StreamingResponse):
    """Items as lines of JSON, in order of completion.

    Parameters:
      items: A task for each item; canceled when the connection ends.
    """

    def __init__(self, items: Sequence[asyncio.Task[bytes]]) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(self._lines(), headers=headers, media_type=NDJSON)
        self._items = items

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the items; cancel what is left when the connection ends."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            for item in self._items:
                item.cancel()

    async def _lines(self) -> AsyncIterator[bytes]:
        for item in asyncio.as_completed(self._items):
            yield await item + b"\n"


class CachedResponse(Response):
    """A copy, sent like `CachedLookupMiddleware` does.

    Parameters:
      found: The copy.
      headers: Additional headers.
    """

    def __init__(self, found: Found, headers: Mapping[str, str]) -> None:
        self.status_code = 200
        self.background = None
        self.init_headers(headers)
        self._seen = found

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        await send_cached(self._seen, scope, send, self.raw_headers)


async def _lookup_response(
    services: AppServices, target: LookupTarget, caller: str, wait: float | None, prefer: str | None
) -> Response:
    seconds, applied = _wait_seconds(wait, prefer)
    answer = await services.lookups.get(target, seconds, caller)
    if isinstance(answer, Found):
        return CachedResponse(answer, applied)
    failure = failure_of(answer)
    headers = {**failure.headers, **applied}
    if not isinstance(answer, Pending):
        return error_response(failure.status, headers=headers, **failure.error)
    body = {"status": failure.error["code"], **failure.error}
    del body["code"]
    return JSONResponse(body, failure.status, headers)


async def _item(services: AppServices, name: str, seconds: float, caller: str) -> bytes:
    try:
        target = user_target(name)
    except InvalidIdentifier as error:
        return failed_item(name, {"code": "invalid_request", "message": f"username: {error}"})
    return batch_item(name, await services.lookups.get(target, seconds, caller))


async def _item_or_failure(services: AppServices, name: str, seconds: float, caller: str) -> bytes:
    try:
        return await _item(services, name, seconds, caller)
    except REDIS_ERRORS:
        return failed_item(name, _STORE_UNAVAILABLE)


def _batch_items(names: Sequence[str], results: Sequence[bytes | BaseException]) -> Iterator[bytes]:
    """Yield the item of each username; a Redis error becomes a failed item.

    Raises:
      BaseException: The first error, if every lookup failed or it is not a Redis error.
    """
    errors = [result for result in results if isinstance(result, BaseException)]
    if errors and (len(errors) == len(results) or not isinstance(errors[0], REDIS_ERRORS)):
        raise errors[0]
    for name, result in zip(names, results, strict=True):
        yield result if isinstance(result, bytes) else failed_item(name, _STORE_UNAVAILABLE)


def _target(field: str, parse: Callable[[str], LookupTarget], given: str) -> LookupTarget:
    try:
        return parse(given)
    except InvalidIdentifier as error:
        raise invalid(field, str(error)) from None


def _wait_seconds(wait: float | None, prefer: str | None) -> tuple[float, dict[str, str]]:
    """Return the seconds to wait, and a Preference-Applied header if Prefer set them."""
    if wait is not None:
        return min(wait, MAX_WAIT_SECONDS), {}
    preferred = _PREFER_WAIT.search(prefer or "")
    if preferred is None:
        return DEFAULT_WAIT_SECONDS, {}
    seconds = min(int(preferred[1]), int(MAX_WAIT_SECONDS))
    return float(seconds), {"Preference-Applied": f"wait={seconds}"}
