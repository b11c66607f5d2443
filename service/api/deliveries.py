"""Deliveries: the callbacks owed, and their attempts."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from service.api.auth import NarrowedReadCaller, ReadCaller, Services
from service.api.bindings import own_deliveries, own_page, unknown_delivery
from service.api.list_filters import Created, NameFilter, Separate
from service.api.models.answer import shown_as
from service.api.models.deliveries import DeliveryDetail, DeliveryPage
from service.api.pagination import Cursor, Limit, page_response, parse_cursor
from service.deliveries.delivery_filter import DeliveryFilter, DeliveryStatus

router = APIRouter(tags=["deliveries"])


async def _delivery_filter(
    created: Created,
    status: Annotated[
        list[Annotated[DeliveryStatus, Separate]] | None,
        Query(description="Its status; repeat it for one of several"),
    ] = None,
    callback: Annotated[NameFilter | None, Query(description="Name of the callback")] = None,
    event_type: Annotated[
        NameFilter | None, Query(alias="type", description="What it reports: `job.failed`, ...")
    ] = None,
    job_id: Annotated[NameFilter | None, Query(description="The job that it reports")] = None,
    code: Annotated[
        NameFilter | None, Query(description="Why its last attempt failed: `http_500`, ...")
    ] = None,
) -> DeliveryFilter:
    return DeliveryFilter(
        statuses=tuple(dict.fromkeys(status or ())),
        callback=callback,
        type=event_type,
        job_id=job_id,
        code=code,
        created_since_ms=created.since_ms,
        created_until_ms=created.until_ms,
    )


@router.get("/deliveries", operation_id="list_deliveries", responses={200: shown_as(DeliveryPage)})
async def list_deliveries(
    caller: NarrowedReadCaller,
    services: Services,
    delivery_filter: Annotated[DeliveryFilter, Depends(_delivery_filter)],
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """List deliveries, newest first; a page may be short although `next` goes on."""
    read = partial(services.deliveries.page, delivery_filter, limit=limit)
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
