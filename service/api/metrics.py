"""What monitoring reads: numbers, and no more than words of ours and configured names as labels."""

from __future__ import annotations

from fastapi import APIRouter, Response

from service.api.auth import WebParts
from service.metrics.prometheus import CONTENT_TYPE

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {}}, "description": "Prometheus' text format"},
        503: {"description": "Redis does not answer"},
    },
)
async def scrape(web: WebParts) -> Response:
    """Tell the numbers of all processes, gathered in one round trip."""
    return Response(await web.metrics.text(), media_type=CONTENT_TYPE)
