"""Rows of a follower export: from any row on, as NDJSON, CSV or JSON, also while it runs."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

from fastapi import Response
from fastapi.responses import StreamingResponse
from starlette.types import Send

from service.api.models.followers import FollowerRowPage
from service.api.models.job_results import ResultAnswer
from service.dependencies import AppServices
from service.followers.formats import CSV, FORMATS, JSON, NDJSON, Format, as_csv, as_ndjson, as_page
from service.followers.rows import MAX_ROWS, RowsExpired
from service.http.content_negotiation import best_match
from service.http.errors import ApiError
from service.jobs.model import INCOMPLETE_REASONS, Status
from service.live.broadcaster import POLL_SECONDS

#: Of reports.
PDF: Final = "application/pdf"
MAX_PAGE_ROWS: Final = 1_000
#: Proxies close a connection that is silent for 30 seconds.
HEARTBEAT_SECONDS: Final = 15.0

#: For the documentation.
ROWS_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": FollowerRowPage | ResultAnswer,
        "description": "The rows of a follower export; the file of a report; for another job"
        ' `{"result": ...}`',
        "headers": {
            "Heliograph-Next-Cursor": {
                "description": "The cursor of the next row; not with `follow`",
                "schema": {"type": "string"},
            },
            "Heliograph-Complete": {
                "description": "`true`: the export has ended, and these rows are its last",
                "schema": {"type": "string", "enum": ["true", "false"]},
            },
            "Heliograph-Status": {
                "description": "The export's status when the response started",
                "schema": {"type": "string"},
            },
            "Heliograph-List-Complete": {
                "description": "Once the export has ended: `true` if it has the whole list",
                "schema": {"type": "string", "enum": ["true", "false"]},
            },
            "Heliograph-Incomplete-Reason": {
                "description": "Why a `succeeded` export has a part of the list only",
                "schema": {"type": "string", "enum": list(INCOMPLETE_REASONS)},
            },
        },
        "content": {
            NDJSON: {
                "schema": {"type": "string"},
                "example": '{"pk":"70000000001","username":"follower.0000001","full_name":'
                '"Follower 1","is_private":false,"is_verified":false}\n',
            },
            PDF: {"schema": {"type": "string", "format": "binary"}},
            CSV: {
                "schema": {"type": "string"},
                "example": "pk,username,full_name,is_private,is_verified\r\n"
                "70000000001,follower.0000001,Follower 1,false,false\r\n",
            },
            JSON: {
                "example": {
                    "items": [
                        {
                            "pk": "70000000001",
                            "username": "follower.0000001",
                            "full_name": "Follower 1",
                            "is_private": False,
                            "is_verified": False,
                        }
                    ],
                    "next": "1",
                }
            },
        },
    },
    406: {"description": "`Accept` allows none of the formats (`not_acceptable`)"},
    409: {"description": "The job has no result, or none yet (`no_result`)"},
    410: {"description": "The rows or the file are no longer kept (`result_gone`)"},
}


def negotiate_format(accept: str, *, follow: bool) -> Format:
    """Choose the response format.

    Parameters:
      accept: The Accept header; empty accepts anything.
      follow: Whether to stream new rows as well, which only NDJSON supports.

    Raises:
      ApiError: 406, no format is acceptable.
    """
    media_type = best_match(accept, (NDJSON,) if follow else FORMATS)
    if media_type is not None:
        return media_type
    if follow:
        raise ApiError(406, "not_acceptable", f"follow=true only supports {NDJSON}: accept it.")
    message = f"Accept must allow one of {', '.join(FORMATS)}."
    raise ApiError(406, "not_acceptable", message)


async def stored_rows(
    services: AppServices, job: dict[str, Any], media_type: Format, start: int, limit: int | None
) -> Response:
    """Respond with the rows that an export has found so far.

    Parameters:
      services: The services of the process.
      job: The export as the API shows it.
      media_type: From `negotiate_format`.
      start: Number of rows to skip.
      limit: Maximum number of rows; None for all, or for a full page of JSON.

    Raises:
      ApiError: 410, the rows are no longer kept.
    """
    available = await _stored_count(services, job)
    maximum = MAX_ROWS if limit is None else limit
    if media_type == JSON:
        maximum = min(maximum, MAX_PAGE_ROWS)
    end = max(start, min(available, start + maximum))
    complete = job["finished_at"] is not None and end >= available
    headers = {**_status_headers(job, complete), "Heliograph-Next-Cursor": str(end)}
    batches = services.follower_rows.rows(job["id"], start, end)
    if media_type == NDJSON:
        return ClosingStreamingResponse(as_ndjson(batches), headers=headers, media_type=NDJSON)
    if media_type == CSV:
        headers["Content-Disposition"] = f'attachment; filename="{job["id"]}.csv"'
        return ClosingStreamingResponse(
            as_csv(batches, heading=start == 0), headers=headers, media_type=CSV
        )
    try:
        rows = [row async for batch in batches for row in batch]
    except RowsExpired:
        raise _rows_expired() from None
    return Response(as_page(rows, None if complete else str(end)), 200, headers, JSON)


async def follow_rows(
    services: AppServices, job: dict[str, Any], start: int, limit: int | None
) -> Response:
    """Respond with the rows found so far, then with each new one until the export ends.

    Parameters:
      services: The services of the process.
      job: The export as the API shows it.
      start: Number of rows to skip.
      limit: Maximum number of rows; None for all.

    Raises:
      ApiError: 410, the rows are no longer kept.
    """
    await _stored_count(services, job)
    end = MAX_ROWS if limit is None else start + limit
    # Without X-Accel-Buffering nginx holds the rows back until its buffer is full.
    headers = {**_status_headers(job, complete=False), "X-Accel-Buffering": "no"}
    batches = iter_new_rows(services, job["id"], start, end)
    return ClosingStreamingResponse(as_ndjson(batches), headers=headers, media_type=NDJSON)


class ClosingStreamingResponse(StreamingResponse):
    """A streaming response that closes its iterator however the response ends."""

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self.body_iterator):  # type: ignore[type-var]
            await super().stream_response(send)


async def iter_new_rows(
    services: AppServices,
    job_id: str,
    start: int,
    end: int,
    *,
    heartbeat: float = HEARTBEAT_SECONDS,
) -> AsyncGenerator[list[bytes], None]:
    """Yield batches of an export's rows until it ends, `end` is reached or the process stops.

    Parameters:
      services: The services of the process.
      job_id: The export.
      start: Number of rows to skip.
      end: The row to stop before.
      heartbeat: Seconds without a row after which an empty batch is yielded.
    """
    position, last_sent = start, time.monotonic()
    with services.broadcaster.subscribe(job_id) as subscriber:
        while True:
            subscriber.take()
            available, ended = await _progress(services, job_id)
            if position < min(available, end):
                stop = min(available, end)
                async with aclosing(services.follower_rows.rows(job_id, position, stop)) as batches:
                    async for batch in batches:
                        yield batch
                position, last_sent = stop, time.monotonic()
            if ended or position >= end or subscriber.closed:
                return
            if time.monotonic() - last_sent >= heartbeat:
                yield []
                last_sent = time.monotonic()
            remaining = last_sent + heartbeat - time.monotonic()
            await subscriber.wait(min(max(0, remaining), POLL_SECONDS))


async def _progress(services: AppServices, job_id: str) -> tuple[int, bool]:
    found = await services.jobs.records([job_id])
    return (found[0].users, found[0].ended) if found else (0, True)


async def _stored_count(services: AppServices, job: dict[str, Any]) -> int:
    """Return the number of rows found so far; raise a 410 ApiError if they are no longer kept."""
    available: int = job["progress"]["users"]
    if available and not await services.follower_rows.are_stored(job["id"]):
        raise _rows_expired()
    return available


def _status_headers(job: dict[str, Any], complete: bool) -> dict[str, str]:
    return {
        "Cache-Control": "no-store",
        "Heliograph-Status": job["status"],
        "Heliograph-Complete": "true" if complete else "false",
        **_list_headers(job),
    }


def _list_headers(job: dict[str, Any]) -> dict[str, str]:
    """Whether an export has the whole list; empty while it runs.

    Of one that 0.2.0 has ended it is not known.
    """
    if job["finished_at"] is None:
        return {}
    if job["status"] != Status.SUCCEEDED:
        return {"Heliograph-List-Complete": "false"}
    result = job["result"]
    if "complete" not in result:
        return {}
    if result["complete"]:
        return {"Heliograph-List-Complete": "true"}
    return {
        "Heliograph-List-Complete": "false",
        "Heliograph-Incomplete-Reason": result["incomplete_reason"],
    }


def _rows_expired() -> ApiError:
    message = (
        "The rows of this export are no longer kept (BODY_RETENTION_DAYS after its end):"
        " start a new one."
    )
    return ApiError(410, "result_gone", message)
