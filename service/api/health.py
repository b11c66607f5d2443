"""Liveness and readiness."""

from __future__ import annotations

from typing import Any, cast

from fastapi import APIRouter

from service import VERSION
from service.api.auth import Services

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def get_health() -> dict[str, Any]:
    """Liveness: the process responds. Redis is not contacted."""
    return {"status": "ok", "version": VERSION}


@router.get("/readyz", responses={503: {"description": "Redis is unavailable"}})
async def get_readiness(services: Services) -> dict[str, Any]:
    """Readiness: Redis responds, so webhooks can be recorded."""
    await cast("Any", services.client.ping())
    return {"status": "ok"}
