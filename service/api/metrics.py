"""Prometheus metrics. Label values are fixed words and configured names, never request data."""

from __future__ import annotations

from fastapi import APIRouter, Response

from service.api.auth import MetricsReader, Services
from service.metrics.prometheus import CONTENT_TYPE

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    operation_id="get_metrics",
    response_class=Response,
    responses={
        200: {
            "content": {"text/plain": {"schema": {"type": "string"}}},
            "description": "Prometheus' text format",
        },
        401: {"description": "METRICS_KEY is set, and the request does not have it"},
        503: {"description": "Redis is unavailable"},
    },
)
async def get_metrics(_reader: MetricsReader, services: Services) -> Response:
    """Return the metrics of all processes, read in one round trip to Redis."""
    return Response(await services.metrics.text(), media_type=CONTENT_TYPE)
