"""Bearer keys, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated

from fastapi import Depends, Request, Security, WebSocket
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param
from starlette.exceptions import HTTPException

from service.web import Web, web_of

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
    return _named(web_of(request), credentials.credentials if credentials else "")


async def socket_caller(socket: WebSocket) -> str:
    """The same for a WebSocket's opening request, which is refused as any request is.

    Parameters:
      socket: Not accepted yet.

    Raises:
      HTTPException: 401, no key or an unknown one.
    """
    scheme, key = get_authorization_scheme_param(socket.headers.get("Authorization"))
    return _named(web_of(socket), key if scheme.lower() == "bearer" else "")


def _named(web: Web, key: str) -> str:
    given, keys = _digest(key), web.settings.api_keys
    names = [name for name, known in keys.items() if hmac.compare_digest(_digest(known), given)]
    if not names:
        raise HTTPException(
            401,
            "Send one of the API keys as `Authorization: Bearer KEY`.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return names[0]


def _digest(key: str) -> bytes:
    # Of one length whatever was sent, so that comparing tells nothing.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


Caller = Annotated[str, Depends(caller)]
SocketCaller = Annotated[str, Depends(socket_caller)]
WebParts = Annotated[Web, Depends(web_of)]
