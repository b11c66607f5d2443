"""Authenticates requests by their API key."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Security, WebSocket
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from service.dependencies import AppServices, get_services

_bearer = HTTPBearer(auto_error=False, description="One of API_KEYS")


async def authenticate(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> str:
    """Return the name of the API key that the request carries.

    Raises:
      HTTPException: 401, the key is missing or unknown.
    """
    key = credentials.credentials if credentials else ""
    return _require_known(get_services(request).api_keys.verify(key))


async def authenticate_websocket(socket: WebSocket) -> str:
    """Return the name of the API key of a WebSocket's opening request.

    Parameters:
      socket: Not accepted yet, so the request is rejected like any other.

    Raises:
      HTTPException: 401, the key is missing or unknown.
    """
    return _require_known(
        get_services(socket).api_keys.verify_header(socket.headers.get("Authorization", ""))
    )


def _require_known(name: str | None) -> str:
    if name is None:
        raise HTTPException(
            401,
            "The API key is missing or unknown: send `Authorization: Bearer KEY`.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return name


async def _services(connection: HTTPConnection) -> AppServices:
    # A coroutine, because FastAPI runs plain functions in a thread, which costs more than the work.
    return get_services(connection)


Caller = Annotated[str, Depends(authenticate)]
WebSocketCaller = Annotated[str, Depends(authenticate_websocket)]
Services = Annotated[AppServices, Depends(_services)]
