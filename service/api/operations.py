"""Operations: their progress and results, and canceling them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query

from service.api.auth import NarrowedJobsCaller, NarrowedReadCaller, Services
from service.api.bindings import own_page
from service.api.callers import Caller
from service.api.models.answer import shown_as
from service.api.models.operations import Operation, OperationPage, OperationResultPage
from service.api.pagination import Cursor, Limit, matching, page_response, parse_cursor
from service.api.record_versions import newer_record
from service.dependencies import AppServices
from service.http.errors import ApiError

router = APIRouter(tags=["operations"])

_UNKNOWN: Final = {"description": "There is no such operation (`unknown_operation`)"}

ResultCursor = Annotated[
    str | None,
    Query(description="`next` of the previous page: the number of results to skip"),
    matching("[0-9]{1,5}", "must be a number of results: send `next` of the previous page"),
]


@router.get(
    "/operations",
    operation_id="list_operations",
    response_model=None,
    responses={200: shown_as(OperationPage)},
)
async def list_operations(
    caller: NarrowedReadCaller, services: Services, cursor: Cursor = None, limit: Limit = 50
) -> dict[str, Any]:
    """List operations, newest first."""
    read = partial(services.operations.page, limit=limit)

    async def own(items: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
        return [each for each in items if _is_shown(each, caller)]

    return page_response(await own_page(caller, read, own, parse_cursor(cursor)))


@router.get(
    "/operations/{operation_id}",
    operation_id="get_operation",
    response_model=None,
    responses={200: shown_as(Operation), 404: _UNKNOWN},
)
async def get_operation(
    operation_id: str, caller: NarrowedReadCaller, services: Services
) -> dict[str, Any]:
    """Show an operation: how far it has come, how many items ended how, the first problems."""
    return await _require_operation(services, caller, operation_id)


@router.get(
    "/operations/{operation_id}/results",
    operation_id="list_operation_results",
    response_model=None,
    responses={200: shown_as(OperationResultPage), 404: _UNKNOWN},
)
async def list_operation_results(
    operation_id: str,
    caller: NarrowedReadCaller,
    services: Services,
    cursor: ResultCursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """List what became of each job or event, in the order in which they are done."""
    await _require_operation(services, caller, operation_id)
    page = await services.operations.results(operation_id, cursor=parse_cursor(cursor), limit=limit)
    return page_response(page)


@router.post(
    "/operations/{operation_id}/cancel",
    operation_id="cancel_operation",
    response_model=None,
    responses={
        200: shown_as(Operation),
        404: _UNKNOWN,
        409: {"description": "It is completed (`not_cancelable`), or `newer_release`"},
    },
)
async def cancel_operation(
    operation_id: str, caller: NarrowedJobsCaller, services: Services
) -> dict[str, Any]:
    """Stop an operation: what it has done stays done."""
    await _require_operation(services, caller, operation_id)
    reply = await services.operations.cancel(operation_id, caller)
    if reply == "none":
        raise _unknown_operation()
    if reply == "newer":
        operation = await services.operations.get(operation_id)
        raise newer_record("operation", operation.version) if operation else _unknown_operation()
    if reply == "ended":
        message = "The operation is completed and can no longer be canceled."
        raise ApiError(409, "not_cancelable", message)
    return await _require_operation(services, caller, operation_id)


async def _require_operation(
    services: AppServices, caller: Caller, operation_id: str
) -> dict[str, Any]:
    operation = await services.operations.show(operation_id)
    if operation is None or not _is_shown(operation, caller):
        raise _unknown_operation()
    return operation


def _is_shown(operation: Mapping[str, Any], caller: Caller) -> bool:
    """Whether a caller may see it: who is bound to accounts, its own ones only."""
    return caller.key.accounts is None or bool(operation["by"] == caller.by)


def _unknown_operation() -> ApiError:
    message = "There is no such operation, or it is no longer kept."
    return ApiError(404, "unknown_operation", message)
