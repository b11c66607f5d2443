"""Bearer keys, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
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
    keys = web_of(request).settings.api_keys
    given = _digest(credentials.credentials if credentials else "")
    names = [name for name, key in keys.items() if hmac.compare_digest(_digest(key), given)]
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
WebParts = Annotated[Web, Depends(web_of)]
