"""What the baselines share: how they are served, and the checks of an honest receiver."""

from __future__ import annotations

import json
import os
import time
from typing import Any, Final

import uvicorn
from fastapi import FastAPI, HTTPException, Request

from service.inbound.signatures import SignatureRefused, verify
from service.web import SERVING

SECRET: Final = "STRIPE_WEBHOOK_SECRET"


async def checked(request: Request) -> dict[str, Any]:
    """The event of a request whose signature verifies."""
    body = await request.body()
    try:
        verify("stripe", body, request.headers.raw, (os.environ[SECRET],), time.time())
    except SignatureRefused:
        raise HTTPException(400) from None
    event: dict[str, Any] = json.loads(body)
    return event


def serve(app: FastAPI) -> None:
    """Serve an application as Heliograph is served."""
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), **SERVING)
