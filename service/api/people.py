"""People: everything that is kept about one person, shown or erased."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator

from service.api.auth import AdminCaller, Services
from service.api.models.answer import shown_as
from service.api.models.people import PersonErasure, PersonPage
from service.api.pagination import Cursor, parse_cursor
from service.api.suppressions import recipient_key
from service.http.errors import ApiError

router = APIRouter(tags=["people"])

#: Jobs on a page, each with its texts, event bodies and callbacks.
MAX_JOBS: Final = 50

Handle = Annotated[
    str,
    AfterValidator(recipient_key),
    Path(description="A username, with or without `@`, or `pk:` and a user id"),
]
JobLimit = Annotated[
    int, Query(ge=1, le=MAX_JOBS, description="The maximum number of jobs on a page")
]


@router.get("/people/{handle}", operation_id="get_person", responses={200: shown_as(PersonPage)})
async def show_person(
    handle: Handle,
    _caller: AdminCaller,
    services: Services,
    cursor: Cursor = None,
    limit: JobLimit = 20,
) -> dict[str, Any]:
    """Show everything that is kept about a person: their jobs, newest first, with all texts,
    events, callbacks and audit entries; on the first page also what is kept beside jobs.
    """
    return await services.people.page(handle, cursor=parse_cursor(cursor), limit=limit)


@router.delete(
    "/people/{handle}",
    operation_id="erase_person",
    responses={
        200: shown_as(PersonErasure),
        409: {"description": "A write to this person may be under way (`person_busy`)"},
    },
)
async def erase_person(
    handle: Handle, requester: AdminCaller, services: Services
) -> dict[str, Any]:
    """Erase everything that is kept about a person, but for what keeps a write from being made
    twice. Call again while `done` is false.
    """
    erasure = await services.person_erasure.erase(handle, requester)
    if erasure.busy:
        raise ApiError(
            409,
            "person_busy",
            "Jobs of this person are running or may have written: everything else is erased. Call"
            f" again when these have ended: {', '.join(erasure.busy)}.",
            jobs=list(erasure.busy),
            **erasure.public(),
        )
    return erasure.public()
