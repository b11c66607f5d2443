"""Creates a job once, however often the same request is sent."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Header, Response

from service.api.callers import Caller
from service.api.job_lists import conflict
from service.dependencies import AppServices
from service.jobs.model import JobDraft

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[\x21-\x7e]{1,255}$",
        description="A request with the same key and body returns the same job for 7 days",
    ),
]


#: Of a response with a job that was created.
CREATED_HEADERS: Final = {
    "Location": {"description": "The job", "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "`true`: an earlier request with the same key has created the job",
        "schema": {"type": "string", "enum": ["true"]},
    },
}
CONFLICT: Final = {"description": "The key was used with another request (`idempotency_conflict`)"}


async def create_job_once(
    services: AppServices,
    draft: JobDraft,
    response: Response,
    caller: Caller,
    idempotency_key: str | None,
    request: str,
) -> dict[str, Any]:
    """Create a job, or find the one that was created with the same idempotency key.

    Parameters:
      services: The services of the process.
      draft: The job.
      response: Gets CREATED_HEADERS.
      caller: Who sends the request.
      idempotency_key: Chosen by the caller; None for none.
      request: Identifies the request: two requests are the same if this is equal.

    Returns:
      The job as the API shows it.

    Raises:
      ApiError: 403, the caller's API key is not bound to the job's account; 409, the idempotency
        key was used with another request.
    """
    caller.require_accounts(draft.candidate_accounts or (draft.account,))
    made = await services.ledger.create(
        draft, caller=caller.key_name, idempotency_key=idempotency_key, request=request
    )
    if made.outcome == "conflict":
        raise conflict(made.job_id)
    response.headers["Location"] = f"/jobs/{made.job_id}"
    if made.outcome == "repeated":
        response.headers["Idempotent-Replayed"] = "true"
    job = await services.jobs.job(made.job_id)
    assert job is not None  # noqa: S101 - it was just created
    return job
