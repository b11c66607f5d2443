"""Liveness and readiness."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from service import VERSION
from service.api.auth import Services
from service.api.models.answer import shown_as
from service.api.models.health import Health, Readiness
from service.api.store_errors import not_ready_response

router = APIRouter(tags=["health"])


@router.get("/healthz", operation_id="get_health", responses={200: shown_as(Health)})
async def get_health() -> dict[str, Any]:
    """Liveness: the process responds. Redis is not contacted."""
    return {"status": "ok", "version": VERSION}


@router.get(
    "/readyz",
    operation_id="get_readiness",
    responses={
        200: shown_as(Readiness),
        503: {"description": "Webhooks would be refused; the message says why"},
    },
)
async def get_readiness(services: Services) -> Response:
    """Readiness: webhooks would be recorded. Redis is tried at most once a second."""
    refusal = await services.readiness.refusal()
    return JSONResponse({"status": "ok"}) if refusal is None else not_ready_response(refusal)
