"""Copies that this process has are told before the application is entered.

A dashboard asks every few seconds, and routing, dependencies and validation cost more than the
answer. Only what is certain to be answered with a copy is answered here; everything else, errors
included, is the routes' (`lookups.py`), which answer the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.lookup_responses import etag_matches, freshness_headers
from service.dependencies import AppServices
from service.instagram.ids import InvalidIdentifier
from service.lookups.service import Found
from service.lookups.targets import LookupTarget, post_target, user_target

_PLACES: Final = (("/users/", user_target), ("/posts/", post_target))
#: Paths are remembered with what they ask for, before it is known who asks.
LONGEST_PATH: Final = 200
#: Queries of which the routes would find nothing to say.
_PLAIN_QUERY: Final = re.compile(rb"(?:wait=[0-9]{1,6}(?:\.[0-9]{1,6})?)?")
_JSON: Final = (b"content-type", b"application/json")


class CachedLookupMiddleware:
    """Answers what there is a fresh copy of.

    Parameters:
      app: The application around which it stands.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or go on."""
        seen = _cached(scope)
        if seen is None:
            await self._app(scope, receive, send)
        else:
            await send_cached(seen, scope, send)


async def send_cached(
    seen: Found, scope: Scope, send: Send, more: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Answer with a copy, or that who asks has it already.

    Parameters:
      seen: The copy.
      scope: What is asked.
      send: Where to.
      more: More headers.
    """
    headers, body = [*freshness_headers(seen), *more], seen.value.body
    if etag_matches(seen.value.etag, _values(scope, b"if-none-match")):
        status, body = 304, b""
    else:
        status = 200
        headers += [_JSON, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _cached(scope: Scope) -> Found | None:
    if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
        return None
    path: str = scope["path"]
    target = target_of_path(path) if len(path) <= LONGEST_PATH else None
    if target is None or not _PLAIN_QUERY.fullmatch(scope["query_string"]):
        return None
    web: AppServices = scope["app"].state.web
    given = next(iter(_values(scope, b"authorization")), "")
    return None if web.api_keys.verify_header(given) is None else web.lookups.cached(target)


@lru_cache(maxsize=4096)
def target_of_path(path: str) -> LookupTarget | None:
    """What a path asks for; None where it is no look-up, or a bad one.

    Parameters:
      path: Decoded.
    """
    for prefix, read in _PLACES:
        if path.startswith(prefix):
            return _read(read, path.removeprefix(prefix))
    return None


def _read(read: Callable[[str], LookupTarget], given: str) -> LookupTarget | None:
    try:
        return read(given)
    except InvalidIdentifier:
        return None


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]
