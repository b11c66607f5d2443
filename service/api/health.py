"""Liveness and readiness."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from service import VERSION
from service.api.auth import Services
from service.api.store_errors import not_ready_response

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def get_health() -> dict[str, Any]:
    """Liveness: the process responds. Redis is not contacted."""
    return {"status": "ok", "version": VERSION}


@router.get(
    "/readyz",
    response_model=dict[str, Any],
    responses={503: {"description": "Webhooks would be refused"}},
)
async def get_readiness(services: Services) -> Response:
    """Readiness: webhooks would be recorded. Redis is tried at most once a second."""
    refusal = await services.readiness.refusal()
    return JSONResponse({"status": "ok"}) if refusal is None else not_ready_response(refusal)
