"""Several jobs in one request: each has an outcome of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, NamedTuple

from fastapi import Response
from pydantic import Discriminator, Field, SkipValidation, StrictStr, Tag, ValidationError
from pydantic.json_schema import SkipJsonSchema

from service.api.callers import Caller
from service.api.job_drafts import build_draft
from service.api.schemas import JobRequest
from service.dependencies import AppServices
from service.http.errors import ApiError, invalid_request
from service.http.field_messages import TAGS
from service.jobs.model import JobDraft
from service.jobs.replies import Creation

MAX_JOBS: Final = 100
#: Between a list's key and the place of a job in it: no key that a caller sends has it.
_SEPARATOR: Final = "\x1f"
_ONE, _MANY = TAGS


class ListedJobRequest(JobRequest):
    """A job of a list."""

    idempotency_key: Annotated[
        StrictStr | None,
        Field(
            pattern=r"^[\x21-\x7e]{1,255}$",
            description="As the header `Idempotency-Key`, for this job alone",
        ),
    ] = None


def _form(body: object) -> str:
    return _MANY if isinstance(body, list) else _ONE


#: One job, or a list of jobs, each of which is checked by itself. The document describes the list
#: in words: beside the form with a photo, openapi-python-client 0.29 tells bodies apart by
#: `isinstance(body, JobRequest | list[...])`, which raises TypeError for every list.
JobBody = Annotated[
    Annotated[JobRequest, Tag(_ONE)]
    | Annotated[
        list[SkipValidation[ListedJobRequest]],
        Field(min_length=1, max_length=MAX_JOBS),
        Tag(_MANY),
        SkipJsonSchema(),
    ],
    Discriminator(_form),
]


class _Item(NamedTuple):
    """A job of a list that can be created.

    Parameters:
      place: Its place in the list.
      draft: The job.
      key: Its idempotency key, if any.
      request: Identifies what is asked for.
    """

    place: int
    draft: JobDraft
    key: str | None
    request: str


def request_identity(body: JobRequest) -> str:
    """Return a text that is equal for two requests exactly if they ask for the same job."""
    document = body.model_dump(mode="json", exclude={"idempotency_key"})
    return json.dumps(document, sort_keys=True)


async def create_jobs(
    services: AppServices,
    bodies: Sequence[Any],
    response: Response,
    caller: Caller,
    list_key: str | None,
) -> dict[str, Any]:
    """Create the jobs of a list, in one round trip to the store.

    Parameters:
      services: The services of the process.
      bodies: What the list has, not checked yet.
      response: Its status is set.
      caller: Who sends the request.
      list_key: The header `Idempotency-Key`: each job without a key of its own gets one from this
        and its place.

    Returns:
      `{"items": [...]}`: for each job in its place `status`, and `job` or `error`.
    """
    outcomes: dict[int, dict[str, Any]] = {}
    items: list[_Item] = []
    for place, body in enumerate(bodies):
        try:
            items.append(_checked(services, caller, place, body, list_key))
        except ApiError as error:
            outcomes[place] = _refused(error)
    outcomes |= await _create(services, caller, items)
    response.status_code = 200
    return {"items": [outcomes[place] for place in range(len(bodies))]}


def _checked(
    services: AppServices, caller: Caller, place: int, body: Any, list_key: str | None
) -> _Item:
    """Check one job of a list.

    Raises:
      ApiError: It cannot be created; the message names the field.
    """
    try:
        request = ListedJobRequest.model_validate(body)
    except ValidationError as error:
        raise invalid_request(error.errors()) from None
    draft = build_draft(request, services)
    caller.require_accounts((draft.account,))
    derived = None if list_key is None else f"{list_key}{_SEPARATOR}{place}"
    key = request.idempotency_key or derived
    return _Item(place, draft, key, request_identity(request))


async def _create(
    services: AppServices, caller: Caller, items: Sequence[_Item]
) -> dict[int, dict[str, Any]]:
    """Create jobs; return the outcome of each by its place."""
    if not items:
        return {}
    requests = [(item.draft, item.key, item.request) for item in items]
    made = await services.ledger.create_all(requests, caller=caller.key_name)
    ids = [each.job_id for each in made if isinstance(each, Creation)]
    shown = await services.jobs.to_public(await services.jobs.records(ids))
    jobs = {job["id"]: job for job in shown}
    return {
        item.place: _outcome(creation, jobs) for item, creation in zip(items, made, strict=True)
    }


def _outcome(creation: Creation | Exception, jobs: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(creation, Exception):
        message = "The store did not take this job: send the list again with the same keys."
        return _refused(ApiError(503, "store_unavailable", message))
    if creation.outcome == "conflict":
        return _refused(conflict(creation.job_id))
    return {"status": 202, "job": jobs[creation.job_id], "error": None}


def _refused(error: ApiError) -> dict[str, Any]:
    detail = {"code": error.code, "message": error.message, **error.extra}
    return {"status": error.status, "job": None, "error": detail}


def conflict(job_id: str) -> ApiError:
    """Build the 409 error for an idempotency key that was used with another request."""
    return ApiError(
        409,
        "idempotency_conflict",
        "This Idempotency-Key was used with a different request; no job was created.",
        job_id=job_id,
    )
