"""Deliveries: the callbacks owed, and their attempts."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter

from service.api.auth import NarrowedReadCaller, ReadCaller, Services
from service.api.bindings import own_deliveries, own_page, unknown_delivery
from service.api.models.answer import shown_as
from service.api.models.deliveries import DeliveryDetail, DeliveryPage
from service.api.pagination import Cursor, Limit, page_response, parse_cursor
from service.deliveries.store import DeliveryStatus
from service.jobs.queries import Page

router = APIRouter(tags=["deliveries"])


@router.get("/deliveries", operation_id="list_deliveries", responses={200: shown_as(DeliveryPage)})
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


@router.get(
    "/deliveries/{delivery_id}",
    operation_id="get_delivery",
    responses={
        200: shown_as(DeliveryDetail),
        404: {"description": "There is no such delivery (`unknown_delivery`)"},
    },
)
async def get_delivery(delivery_id: str, _caller: ReadCaller, services: Services) -> dict[str, Any]:
    """Show one delivery with its payload and all attempts."""
    delivery = await services.deliveries.read(delivery_id)
    if delivery is None:
        raise unknown_delivery()
    return delivery
