"""Whether the process lives, and whether it can do its work."""

from __future__ import annotations

from typing import Any, cast

from fastapi import APIRouter

from service import VERSION
from service.api.auth import WebParts

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, Any]:
    """The process answers; Redis is not asked."""
    return {"status": "ok", "version": VERSION}


@router.get("/readyz", responses={503: {"description": "Redis does not answer"}})
async def readyz(web: WebParts) -> dict[str, Any]:
    """Redis answers, so webhooks can be recorded."""
    await cast("Any", web.client.ping())
    return {"status": "ok"}
