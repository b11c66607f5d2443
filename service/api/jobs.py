"""Jobs: create, show, list, cancel, retry, settle."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Response

from service.api.auth import (
    JobsCaller,
    NarrowedJobsCaller,
    NarrowedReadCaller,
    ReadCaller,
    Services,
)
from service.api.bindings import unknown_job
from service.api.follower_results import ROWS_RESPONSES, follow_rows, negotiate_format, stored_rows
from service.api.idempotency import CONFLICT, CREATED_HEADERS, IdempotencyKey, create_job_once
from service.api.job_drafts import build_draft
from service.api.job_filters import METADATA_PARAMETER, JobFilterQuery
from service.api.job_lists import JobBody, create_jobs, request_identity
from service.api.models.answer import shown_as
from service.api.models.job_details import JobDetails
from service.api.models.jobs import CreatedJobs, Job, JobPage, Timeline
from service.api.multipart import UPLOAD_SCHEMA
from service.api.pagination import Cursor, Limit, matching, page_response, parse_cursor
from service.api.record_versions import newer_record
from service.api.report_files import report_file
from service.api.schemas import SettleRequest
from service.dependencies import AppServices
from service.http.errors import ApiError
from service.jobs.model import FINAL, FOLLOWER_KINDS
from service.live.broadcaster import POLL_SECONDS

router = APIRouter(tags=["jobs"])

#: Proxies in front of the service give up after 30 seconds.
MAX_WAIT_SECONDS: Final = 25

_UNKNOWN: Final = {"description": "There is no such job (`unknown_job`)"}
#: The code and the message for what the ledger replies of a job that it does not start again.
_NOT_RETRIED: Final = {
    "erased": ("erased", "What the job was to send was erased: create a new job."),
    "empty": (
        "not_retryable",
        "The job was rejected at creation: fix its rule and replay its event.",
    ),
    "gone": ("text_gone", "The job's text is no longer kept: create a new job."),
    "photo_gone": (
        "photo_gone",
        "The job's photo was deleted when the job ended: create a new job with it.",
    ),
}


@router.post(
    "/jobs",
    operation_id="create_job",
    status_code=202,
    responses={
        200: shown_as(CreatedJobs),
        202: shown_as(Job) | {"headers": CREATED_HEADERS},
        409: CONFLICT,
    },
    openapi_extra=UPLOAD_SCHEMA,
)
async def create_job(
    body: JobBody,
    response: Response,
    caller: NarrowedJobsCaller,
    services: Services,
    idempotency_key: IdempotencyKey = None,
) -> dict[str, Any]:
    """Create a job: a DM or a comment.

    The body may also be an array of 1 to 100 such objects, each with an optional `idempotency_key`.
    It is answered with 200: what became of each job is in `items`, in its order.
    """
    if isinstance(body, list):
        return await create_jobs(services, body, response, caller, idempotency_key)
    draft, request = build_draft(body, services), request_identity(body)
    return await create_job_once(services, draft, response, caller, idempotency_key, request)


@router.get(
    "/jobs",
    operation_id="list_jobs",
    responses={200: shown_as(JobPage)},
    openapi_extra=METADATA_PARAMETER,
)
async def list_jobs(
    caller: NarrowedReadCaller,
    services: Services,
    job_filter: JobFilterQuery,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """List jobs, newest first: those that meet all filters.

    A page may have fewer jobs than `limit`, even none, although more follow: go on while `next` is
    not null.
    """
    if job_filter.tells_of_people:
        caller.require_people()
    own = job_filter.within(caller.key.accounts)
    return page_response(
        await services.job_finder.page(own, cursor=parse_cursor(cursor), limit=limit)
    )


@router.get(
    "/jobs/{job_id}",
    operation_id="get_job",
    responses={200: shown_as(JobDetails), 404: _UNKNOWN},
)
async def get_job(
    job_id: str,
    _caller: ReadCaller,
    services: Services,
    wait: Annotated[
        float,
        Query(
            ge=0, allow_inf_nan=False, description="Seconds to wait for the job to end, at most 25"
        ),
    ] = 0,
) -> dict[str, Any]:
    """Show one job and what was tried for it; with `wait`, when it has ended or the time is up."""
    if wait:
        await _wait_for_end(services, job_id, min(wait, MAX_WAIT_SECONDS))
    details = await services.job_details.read(job_id)
    if details is None:
        raise unknown_job()
    [job] = await services.jobs.to_public([details.record])
    return {**job, **details.public()}


@router.get(
    "/jobs/{job_id}/timeline",
    operation_id="get_job_timeline",
    responses={200: shown_as(Timeline), 404: _UNKNOWN},
)
async def get_timeline(job_id: str, _caller: ReadCaller, services: Services) -> dict[str, Any]:
    """List all changes of a job's status (when, by whom, why) and its deliveries."""
    job = await _require_job(services, job_id)
    deliveries = await services.deliveries.of_job(job_id, job["run"])
    return {"items": await services.jobs.timeline(job_id), "next": None, "deliveries": deliveries}


@router.get(
    "/jobs/{job_id}/result",
    operation_id="get_job_result",
    response_model=None,
    responses={**ROWS_RESPONSES, 404: _UNKNOWN},
)
async def get_result(
    job_id: str,
    caller: ReadCaller,
    services: Services,
    # OpenAPI knows it from the media types of the response, and wants no parameter of this name.
    accept: Annotated[list[str] | None, Header(include_in_schema=False)] = None,
    cursor: Annotated[
        str | None,
        Query(description="The number of rows to skip"),
        matching("[0-9]{1,15}", "must be a number of rows: send `next` of the previous page"),
    ] = None,
    limit: Annotated[
        int | None, Query(ge=1, description="The maximum number of rows; at most 1,000 for JSON")
    ] = None,
    follow: Annotated[
        bool, Query(description="Stream new rows until the export ends (NDJSON only)")
    ] = False,
) -> Response | dict[str, Any]:
    """Return a job's result.

    Of a follower export, the rows so far, as NDJSON, CSV or JSON; of a report, its file.
    """
    job = await _require_job(services, job_id)
    if job["kind"] in FOLLOWER_KINDS:
        caller.require_people()
        media_type = negotiate_format(", ".join(accept or ()), follow=follow)
        if follow:
            return await follow_rows(services, job, int(cursor or 0), limit)
        return await stored_rows(services, job, media_type, int(cursor or 0), limit)
    if job["kind"] == "report":
        return await report_file(services, job)
    if job["result"] is None:
        raise ApiError(409, "no_result", f"The job is {job['status']} and has no result.")
    return {"result": job["result"]}


@router.post(
    "/jobs/{job_id}/cancel",
    operation_id="cancel_job",
    responses={
        200: shown_as(Job),
        404: _UNKNOWN,
        409: {"description": "It has written or ended (`not_cancelable`, `newer_release`)"},
    },
)
async def cancel_job(job_id: str, caller: JobsCaller, services: Services) -> dict[str, Any]:
    """Cancel a job that has not written anything; a running job stops before its write."""
    reply = await services.ledger.cancel(job_id, *caller)
    job = await _job_after(services, job_id, reply)
    if reply == "late":
        raise ApiError(
            409, "not_cancelable", f"The job is {job['status']} and can no longer be canceled."
        )
    return job


@router.post(
    "/jobs/{job_id}/retry",
    operation_id="retry_job",
    status_code=202,
    responses={
        202: shown_as(Job),
        404: _UNKNOWN,
        409: {
            "description": "It has not failed, or what it was to send is gone (`not_retryable`,"
            " `erased`, `text_gone`, `photo_gone`, `result_gone`, `newer_release`)"
        },
    },
)
async def retry_job(job_id: str, caller: JobsCaller, services: Services) -> dict[str, Any]:
    """Start the next run of a failed or uncertain job."""
    reply = await services.ledger.retry(job_id, *caller)
    job = await _job_after(services, job_id, reply)
    if reply == "refused":
        message = f"The job is {job['status']}; only failed and uncertain jobs can be retried."
        raise ApiError(409, "not_retryable", message)
    if reply == "gone" and job["kind"] in FOLLOWER_KINDS:
        message = "The rows of this export are no longer kept: start a new one."
        raise ApiError(409, "result_gone", message)
    if reply in _NOT_RETRIED:
        raise ApiError(409, *_NOT_RETRIED[reply])
    return job


@router.post(
    "/jobs/{job_id}/settle",
    operation_id="settle_job",
    responses={
        200: shown_as(Job),
        404: _UNKNOWN,
        409: {"description": "It is not uncertain (`not_uncertain`, `erased`, `newer_release`)"},
    },
)
async def settle_job(
    job_id: str, body: SettleRequest, caller: JobsCaller, services: Services
) -> dict[str, Any]:
    """Settle an uncertain job: a person has looked whether its write is at Instagram."""
    reply = await services.ledger.settle(job_id, body.settled_as, *caller, note=body.note)
    job = await _job_after(services, job_id, reply)
    if reply == "refused":
        message = f"The job is {job['status']}; only uncertain jobs can be settled."
        raise ApiError(409, "not_uncertain", message)
    if reply == "erased":
        message = "What the job says of a person was erased: settle it without a note."
        raise ApiError(409, "erased", message)
    return job


async def _require_job(services: AppServices, job_id: str) -> dict[str, Any]:
    job = await services.jobs.job(job_id)
    if job is None:
        raise unknown_job()
    return job


async def _job_after(services: AppServices, job_id: str, reply: str) -> dict[str, Any]:
    """The job as a step of the ledger has left it.

    Raises:
      ApiError: 404, there is none; 409, only a newer release can change it.
    """
    if reply == "none":
        raise unknown_job()
    if reply == "newer":
        records = await services.jobs.records([job_id])
        raise newer_record("job", records[0].version) if records else unknown_job()
    return await _require_job(services, job_id)


async def _wait_for_end(services: AppServices, job_id: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    with services.broadcaster.subscribe(job_id) as subscriber:
        while True:
            subscriber.take()
            job = await _require_job(services, job_id)
            remaining = deadline - time.monotonic()
            if job["status"] in FINAL or remaining <= 0 or subscriber.closed:
                return
            await subscriber.wait(min(remaining, POLL_SECONDS))
