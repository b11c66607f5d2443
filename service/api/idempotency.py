"""Jobs that callers ask for: made once, however often the same request comes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Header, Response

from service.dependencies import AppServices
from service.http.errors import ApiError
from service.jobs.model import JobDraft

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[\x21-\x7e]{1,255}$",
        description="The same key and body name the same job for 7 days",
    ),
]


async def create_job_once(
    web: AppServices,
    draft: JobDraft,
    response: Response,
    caller: str,
    idempotency_key: str | None,
    request: str,
) -> dict[str, Any]:
    """Make a job, or find the one that the key names.

    Parameters:
      web: The process' parts.
      draft: The job.
      response: Gets its Location.
      caller: Name of the API key.
      idempotency_key: The caller's, None for none.
      request: What two requests must share to be the same.

    Returns:
      The job as the API shows it.

    Raises:
      ApiError: 409, the key was used with another request.
    """
    made = await web.ledger.create(
        draft, caller=caller, idempotency_key=idempotency_key, request=request
    )
    if made.outcome == "conflict":
        raise ApiError(
            409,
            "idempotency_conflict",
            "This Idempotency-Key was used with another body; nothing was created.",
            job_id=made.job_id,
        )
    response.headers["Location"] = f"/jobs/{made.job_id}"
    job = await web.jobs.job(made.job_id)
    assert job is not None  # noqa: S101 - it was there a moment ago
    return job
