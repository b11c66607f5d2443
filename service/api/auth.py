"""Authenticates requests by their API key, and readers of the metrics by theirs."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Annotated, NoReturn

from fastapi import Depends, Request, Security, WebSocket
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from service.api.bindings import check_binding
from service.api.callers import Caller
from service.api.masking import mask_answer
from service.credentials.api_keys import ApiKey, KeyScope
from service.dependencies import AppServices, get_services
from service.http.client_address import client_address
from service.http.failed_authentication import MAX_FAILURES, WINDOW_SECONDS
from service.http.rate_limit_headers import rate_limit_headers

_bearer = HTTPBearer(auto_error=False, description="One of API_KEYS")


class RequireScope:
    """A dependency: the caller of an HTTP request, whose key has a scope.

    Every route but the public ones has one of these, or of `RequireScopeOfSocket`. A key that is
    bound to accounts gets no further than what belongs to them (`bindings.py`). What shows a person
    is masked for keys with neither the scope `jobs` nor the right to change it.

    Parameters:
      scope: What the key must allow.
      narrowed: Whether the route itself leaves out what belongs to other accounts than the key's.
      shown_with: The scope with which the answer is not masked, besides `jobs` and, where it is not
        `read`, the one that is required.
    """

    def __init__(
        self, scope: KeyScope, *, narrowed: bool = False, shown_with: KeyScope = "jobs"
    ) -> None:
        self.scope = scope
        self.narrowed = narrowed
        self._shown_with: set[KeyScope] = {"jobs", shown_with, *({scope} - {"read"})}

    async def __call__(
        self,
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    ) -> Caller:
        """Return who sends the request.

        Raises:
          HTTPException: 401, the key is missing or unknown; 429, too many were unknown.
          ApiError: 403, the key does not have the scope; 403 or 404, it is bound to accounts.
        """
        secret = credentials.credentials if credentials else ""
        key = get_services(request).api_keys.verify(secret)
        caller = await self._permit(request, key)
        if not caller.sees_people:
            mask_answer(request)
        return caller

    async def _permit(self, connection: HTTPConnection, key: ApiKey | None) -> Caller:
        key = key or _refuse(connection)
        shown = any(key.may(scope) for scope in self._shown_with)
        caller = Caller(key, client_address(connection.scope), sees_people=shown)
        caller.require(self.scope)
        if key.accounts is not None:
            await check_binding(connection, caller, narrowed=self.narrowed)
        return caller


class RequireScopeOfSocket(RequireScope):
    """The same for a WebSocket: not accepted yet, so it is rejected like any other request."""

    async def __call__(self, socket: WebSocket) -> Caller:  # type: ignore[override]
        """Return who opens the socket."""
        header = socket.headers.get("Authorization", "")
        return await self._permit(socket, get_services(socket).api_keys.verify_header(header))


async def authenticate_metrics(request: Request) -> None:
    """Require METRICS_KEY, if it is set: as a Bearer key, or the password of any user.

    Raises:
      HTTPException: 401, the key is missing or wrong; 429, too many were wrong.
    """
    expected = get_services(request).settings.metrics_key
    if expected is None:
        return
    given = _given_key(request.headers.get("Authorization", ""))
    if not hmac.compare_digest(expected.encode(), given.encode()):
        _refuse(request, "METRICS_KEY")


def _given_key(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def _refuse(connection: HTTPConnection, key: str = "KEY") -> NoReturn:
    has_key = bool(connection.headers.get("Authorization", "").strip())
    failures = get_services(connection).failed_authentication
    retry_after = failures.add(connection.scope, has_key=has_key)
    if retry_after is not None:
        raise HTTPException(
            429,
            f"Too many wrong keys came from your address: try again in {retry_after} seconds,"
            " or send a right one at any time.",
            headers=rate_limit_headers(
                "failed-authentication",
                retry_after,
                quota=MAX_FAILURES,
                window=round(WINDOW_SECONDS),
            ),
        )
    raise HTTPException(
        401,
        f"The key is missing or unknown: send `Authorization: Bearer {key}`.",
        headers={"WWW-Authenticate": "Bearer"},
    )


async def _services(connection: HTTPConnection) -> AppServices:
    # A coroutine, because FastAPI runs plain functions in a thread, which costs more than the work.
    return get_services(connection)


# Each has a narrowed form, for routes that themselves leave out what belongs to other accounts than
# those that the caller's key is bound to (`caller.key.sees`). Without it, such a key is refused
# unless the path names what the route is about.

#: Who may ask for what a key with the scope `read` may see: every key.
ReadCaller = Annotated[Caller, Depends(RequireScope("read"))]
NarrowedReadCaller = Annotated[Caller, Depends(RequireScope("read", narrowed=True))]
#: Who may create and change jobs, replay events, and see texts and recipients.
JobsCaller = Annotated[Caller, Depends(RequireScope("jobs"))]
NarrowedJobsCaller = Annotated[Caller, Depends(RequireScope("jobs", narrowed=True))]
#: Who may pause and resume accounts, log them in, and change suppressions.
AccountsCaller = Annotated[Caller, Depends(RequireScope("accounts"))]
NarrowedAccountsCaller = Annotated[Caller, Depends(RequireScope("accounts", narrowed=True))]
#: Who may act on all accounts at once, or on a person's data.
AdminCaller = Annotated[Caller, Depends(RequireScope("admin"))]
#: Who may see the list of suppressions: whoever may change it sees whom it names.
SuppressionsReader = Annotated[
    Caller, Depends(RequireScope("read", narrowed=True, shown_with="accounts"))
]
#: Who may see what shows only the person asked for, or nobody: lookups, statistics. Not masked.
UnmaskedReadCaller = Annotated[
    Caller, Depends(RequireScope("read", narrowed=True, shown_with="read"))
]
SocketReadCaller = Annotated[Caller, Depends(RequireScopeOfSocket("read"))]
NarrowedSocketReadCaller = Annotated[Caller, Depends(RequireScopeOfSocket("read", narrowed=True))]
MetricsReader = Annotated[None, Depends(authenticate_metrics)]
Services = Annotated[AppServices, Depends(_services)]
