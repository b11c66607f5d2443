"""Whom a request comes from, by its bearer key."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Security, WebSocket
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from service.dependencies import AppServices, get_services

_bearer = HTTPBearer(auto_error=False, description="One of API_KEYS")


async def caller(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> str:
    """The name of the API key that the request carries.

    Parameters:
      request: The request.
      credentials: Its bearer token, if any.

    Raises:
      HTTPException: 401, no key or an unknown one.
    """
    key = credentials.credentials if credentials else ""
    return _known(get_services(request).api_keys.verify(key))


async def socket_caller(socket: WebSocket) -> str:
    """The same for a WebSocket's opening request, which is refused as any request is.

    Parameters:
      socket: Not accepted yet.

    Raises:
      HTTPException: 401, no key or an unknown one.
    """
    return _known(
        get_services(socket).api_keys.verify_header(socket.headers.get("Authorization", ""))
    )


def _known(name: str | None) -> str:
    if name is None:
        raise HTTPException(
            401,
            "Send one of the API keys as `Authorization: Bearer KEY`.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return name


async def _parts(connection: HTTPConnection) -> AppServices:
    # A coroutine: FastAPI runs plain functions in a thread, which costs more than most requests.
    return get_services(connection)


Caller = Annotated[str, Depends(caller)]
SocketCaller = Annotated[str, Depends(socket_caller)]
WebParts = Annotated[AppServices, Depends(_parts)]
