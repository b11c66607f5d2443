"""Deliveries: the callbacks owed, and their attempts."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter

from service.api.auth import NarrowedReadCaller, ReadCaller, Services
from service.api.bindings import own_deliveries, own_page, unknown_delivery
from service.api.pagination import Cursor, Limit, page_response, parse_cursor
from service.deliveries.store import DeliveryStatus
from service.jobs.queries import Page

router = APIRouter(tags=["deliveries"])


@router.get("/deliveries")
async def list_deliveries(
    caller: NarrowedReadCaller,
    services: Services,
    status: DeliveryStatus | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """List deliveries, newest first."""

    async def read(at: int | None) -> Page:
        return await services.deliveries.page(status, cursor=at, limit=limit)

    own = partial(own_deliveries, services, caller)
    return page_response(await own_page(caller, read, own, parse_cursor(cursor)))


@router.get("/deliveries/{delivery_id}")
async def get_delivery(delivery_id: str, _caller: ReadCaller, services: Services) -> dict[str, Any]:
    """Show one delivery with its payload and all attempts."""
    delivery = await services.deliveries.read(delivery_id)
    if delivery is None:
        raise unknown_delivery()
    return delivery
