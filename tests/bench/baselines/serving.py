"""Shared by the baselines: the application, the signature check, and how it is served."""

from __future__ import annotations

import json
import os
import time
from typing import Any, Final

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

from service.signatures.verify import SignatureRejected, verify
from service.web import SERVING

#: Names of environment variables.
SECRET: Final = "STRIPE_WEBHOOK_SECRET"
REDIS: Final = "REDIS_URL"
OUTSIDE: Final = "OUTSIDE_URL"


def application() -> FastAPI:
    """A FastAPI application that answers `/healthz` as ours does."""
    app = FastAPI()

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return app


def checked(request: Request, body: bytes) -> dict[str, Any]:
    """The event of a request whose signature verifies."""
    try:
        verify("stripe", body, request.headers.raw, (os.environ[SECRET],), time.time())
    except SignatureRejected:
        raise HTTPException(400) from None
    event: dict[str, Any] = json.loads(body)
    return event


def is_paid(event: dict[str, Any]) -> bool:
    """Whether the event is paid, as our rules check."""
    return bool(event["data"]["object"]["payment_status"] == "paid")


def accepted(event: dict[str, Any], *jobs: str) -> JSONResponse:
    """A response in the same format as ours."""
    return JSONResponse({"event_id": event["id"], "duplicate": False, "jobs": jobs}, 202)


def serve(app: FastAPI) -> None:
    """Serve an application as Heliograph is served."""
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), **SERVING)
