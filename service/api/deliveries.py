"""Deliveries: the callbacks owed, and their attempts."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from service.api.auth import ReadCaller, Services
from service.api.pagination import Cursor, Limit, page_response, parse_cursor
from service.deliveries.store import DeliveryStatus
from service.http.errors import ApiError

router = APIRouter(tags=["deliveries"])


@router.get("/deliveries")
async def list_deliveries(
    _caller: ReadCaller,
    services: Services,
    status: DeliveryStatus | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """List deliveries, newest first."""
    return page_response(
        await services.deliveries.page(status, cursor=parse_cursor(cursor), limit=limit)
    )


@router.get("/deliveries/{delivery_id}")
async def get_delivery(delivery_id: str, _caller: ReadCaller, services: Services) -> dict[str, Any]:
    """Show one delivery with its payload and all attempts."""
    delivery = await services.deliveries.read(delivery_id)
    if delivery is None:
        raise ApiError(
            404, "unknown_delivery", "There is no such delivery, or it is no longer kept."
        )
    return delivery
