"""Jobs: ask for one, look at one, list them, cancel, retry."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Response

from service.api.auth import Caller, WebParts
from service.api.follower_results import ROWS_RESPONSES, follow_rows, negotiate_format, stored_rows
from service.api.idempotency import IdempotencyKey, create_job_once
from service.api.multipart import UPLOAD_SCHEMA
from service.api.pagination import Cursor, Limit, page_response, parse_cursor
from service.api.schemas import JobRequest, invalid, utc_now
from service.dependencies import AppServices
from service.http.errors import ApiError
from service.jobs.model import FINAL, FOLLOWER_KINDS, JobDraft, Kind, Status
from service.jobs.queries import JobFilter, Page
from service.live.broadcaster import POLL_SECONDS
from service.network.ip_filter import IpFilter
from service.photos.photo_url import check_photo_url

router = APIRouter(tags=["jobs"])

#: Routers in front of us give up at 30 s.
MAX_WAIT_SECONDS: Final = 25


@router.post("/jobs", status_code=202, openapi_extra=UPLOAD_SCHEMA)
async def create(
    asked: JobRequest,
    response: Response,
    caller: Caller,
    web: WebParts,
    idempotency_key: IdempotencyKey = None,
) -> dict[str, Any]:
    """Ask for a DM or a comment."""
    request = json.dumps(asked.model_dump(mode="json"), sort_keys=True)
    draft = build_draft(asked, web)
    return await create_job_once(web, draft, response, caller, idempotency_key, request)


def build_draft(asked: JobRequest, web: AppServices) -> JobDraft:
    """The job that a JSON body asks for.

    Parameters:
      asked: The body.
      web: What there is to ask for.

    Raises:
      ApiError: 422; the message names the field.
    """
    if asked.photo is not None:
        ip_filter, allow_http = (
            IpFilter(web.settings.callback_allow),
            web.settings.callback_allow_http,
        )
        try:
            check_photo_url(asked.photo, ip_filter, allow_http=allow_http)
        except ValueError as error:
            raise invalid("photo", str(error)) from None
    return asked.draft(web.config, utc_now())


@router.get("/jobs")
async def page(
    _caller: Caller,
    web: WebParts,
    status: Status | None = None,
    account: str | None = None,
    kind: Kind | None = None,
    event_id: str | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """List jobs, newest first."""
    only = JobFilter(status, account, kind)
    if event_id is not None:
        return page_response(await _of_event(web, event_id, only, parse_cursor(cursor), limit))
    return page_response(await web.jobs.jobs(only, cursor=parse_cursor(cursor), limit=limit))


@router.get("/jobs/{job_id}")
async def show(
    job_id: str,
    _caller: Caller,
    web: WebParts,
    wait: Annotated[
        float,
        Query(ge=0, allow_inf_nan=False, description="Seconds to wait for its end, at most 25"),
    ] = 0,
) -> dict[str, Any]:
    """Show one job; with `wait`, when it has ended or the time is over."""
    job = await _existing(web, job_id)
    if not wait or job["status"] in FINAL:
        return job
    return await _ended(web, job_id, min(wait, MAX_WAIT_SECONDS))


@router.get("/jobs/{job_id}/timeline")
async def timeline(job_id: str, _caller: Caller, web: WebParts) -> dict[str, Any]:
    """Every change of a job's state: when, who, why."""
    job = await _existing(web, job_id)
    deliveries = await web.deliveries.of_job(job_id, job["run"])
    return {"items": await web.jobs.timeline(job_id), "next": None, "deliveries": deliveries}


@router.get("/jobs/{job_id}/result", response_model=None, responses=ROWS_RESPONSES)
async def result(
    job_id: str,
    _caller: Caller,
    web: WebParts,
    accept: Annotated[list[str] | None, Header(description="Which form")] = None,
    cursor: Annotated[
        str | None, Query(pattern=r"^[0-9]{1,15}$", description="How many rows to leave out")
    ] = None,
    limit: Annotated[
        int | None, Query(ge=1, description="The most rows; of JSON 1,000 at most")
    ] = None,
    follow: Annotated[bool, Query(description="Go on until the walk ends (NDJSON)")] = False,
) -> Response | dict[str, Any]:
    """What a job left behind; of a walk the rows so far, as NDJSON, CSV or a page of JSON."""
    job = await _existing(web, job_id)
    if job["kind"] in FOLLOWER_KINDS:
        form = negotiate_format(", ".join(accept or ()), follow=follow)
        if follow:
            return await follow_rows(web, job, int(cursor or 0), limit)
        return await stored_rows(web, job, form, int(cursor or 0), limit)
    if job["result"] is None:
        raise ApiError(409, "no_result", f"The job is {job['status']}; it has no result.")
    return {"result": job["result"]}


@router.post("/jobs/{job_id}/cancel")
async def cancel(job_id: str, caller: Caller, web: WebParts) -> dict[str, Any]:
    """Cancel a job that has written nothing; a running one stops before its write."""
    reply = await web.ledger.cancel(job_id, f"api:{caller}")
    if reply == "none":
        raise unknown_job()
    job = await _existing(web, job_id)
    if reply == "late":
        raise ApiError(409, "too_late", f"The job is {job['status']}; it cannot be canceled.")
    return job


@router.post("/jobs/{job_id}/retry", status_code=202)
async def retry(job_id: str, caller: Caller, web: WebParts) -> dict[str, Any]:
    """Open the next run of a failed or uncertain job."""
    reply = await web.ledger.retry(job_id, f"api:{caller}")
    if reply == "none":
        raise unknown_job()
    job = await _existing(web, job_id)
    if reply == "refused":
        message = f"The job is {job['status']}; only failed and uncertain jobs can be retried."
        raise ApiError(409, "not_retryable", message)
    if reply == "empty":
        message = "The job was born failed: there is nothing to send. Correct what made it."
        raise ApiError(409, "not_retryable", message)
    if reply == "gone":
        raise _no_longer_kept(job)
    if reply == "photo_gone":
        message = "The job's photo was dropped when the job ended; make a new job with it."
        raise ApiError(409, "photo_gone", message)
    return job


async def _existing(web: AppServices, job_id: str) -> dict[str, Any]:
    job = await web.jobs.job(job_id)
    if job is None:
        raise unknown_job()
    return job


async def _ended(web: AppServices, job_id: str, seconds: float) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    with web.broadcaster.subscribe(job_id) as listener:
        while True:
            listener.take()
            job = await _existing(web, job_id)
            left = deadline - time.monotonic()
            if job["status"] in FINAL or left <= 0 or listener.closed:
                return job
            await listener.wait(min(left, POLL_SECONDS))


async def _of_event(
    web: AppServices, event_id: str, only: JobFilter, cursor: int | None, limit: int
) -> Page:
    """An event has a few jobs at most: they are read whole and paged here."""
    ids = [job_id for event in await web.jobs.events_named(event_id) for job_id in event.jobs]
    records = await web.jobs.records(ids)
    fitting = [
        record
        for record in sorted(records, key=lambda record: -record.seq)
        if only.matches(record) and (cursor is None or record.seq < cursor)
    ]
    more = fitting[limit - 1].seq if len(fitting) > limit else None
    return Page(await web.jobs.to_public(fitting[:limit]), more)


def _no_longer_kept(job: dict[str, Any]) -> ApiError:
    if job["kind"] in FOLLOWER_KINDS:
        message = "What the walk had found is no longer kept; make a new one."
        return ApiError(409, "result_gone", message)
    return ApiError(409, "text_gone", "The job's text is no longer kept; make a new job.")


def unknown_job() -> ApiError:
    """There is no such job."""
    return ApiError(404, "unknown_job", "No such job is known (any more).")
