"""Deliveries: the callbacks owed, and what was tried."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from service.api.auth import Caller, WebParts
from service.api.pagination import Cursor, Limit, page_response, parse_cursor
from service.deliveries.store import DeliveryStatus
from service.http.errors import ApiError

router = APIRouter(tags=["deliveries"])


@router.get("/deliveries")
async def page(
    _caller: Caller,
    web: WebParts,
    status: DeliveryStatus | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """List deliveries, newest first."""
    return page_response(
        await web.deliveries.page(status, cursor=parse_cursor(cursor), limit=limit)
    )


@router.get("/deliveries/{delivery_id}")
async def show(delivery_id: str, _caller: Caller, web: WebParts) -> dict[str, Any]:
    """Show one delivery with its payload and every attempt."""
    delivery = await web.deliveries.read(delivery_id)
    if delivery is None:
        raise ApiError(404, "unknown_delivery", "No such delivery is known (any more).")
    return delivery
