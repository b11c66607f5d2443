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

from service.dependencies import AppServices, get_services
from service.http.client_address import client_address
from service.jobs.audit_log import Requester

_bearer = HTTPBearer(auto_error=False, description="One of API_KEYS")


async def authenticate(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> str:
    """Return the name of the API key that the request carries.

    Raises:
      HTTPException: 401, the key is missing or unknown; 429, too many were unknown.
    """
    key = credentials.credentials if credentials else ""
    return get_services(request).api_keys.verify(key) or _refuse(request)


async def identify_requester(
    request: Request, caller: Annotated[str, Depends(authenticate)]
) -> Requester:
    """Return who asks for an act that is audited."""
    return Requester(f"api:{caller}", client_address(request.scope))


async def authenticate_websocket(socket: WebSocket) -> str:
    """Return the name of the API key of a WebSocket's opening request.

    Parameters:
      socket: Not accepted yet, so the request is rejected like any other.

    Raises:
      HTTPException: 401, the key is missing or unknown; 429, too many were unknown.
    """
    header = socket.headers.get("Authorization", "")
    return get_services(socket).api_keys.verify_header(header) or _refuse(socket)


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
            headers={"Retry-After": str(retry_after)},
        )
    raise HTTPException(
        401,
        f"The key is missing or unknown: send `Authorization: Bearer {key}`.",
        headers={"WWW-Authenticate": "Bearer"},
    )


async def _services(connection: HTTPConnection) -> AppServices:
    # A coroutine, because FastAPI runs plain functions in a thread, which costs more than the work.
    return get_services(connection)


Caller = Annotated[str, Depends(authenticate)]
AuditedCaller = Annotated[Requester, Depends(identify_requester)]
MetricsReader = Annotated[None, Depends(authenticate_metrics)]
WebSocketCaller = Annotated[str, Depends(authenticate_websocket)]
Services = Annotated[AppServices, Depends(_services)]
