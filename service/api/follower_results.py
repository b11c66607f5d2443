"""What walks have found: from any row on, in the form the caller likes, while they run too."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

from fastapi import Response
from fastapi.responses import StreamingResponse
from starlette.types import Send

from service.dependencies import AppServices
from service.followers.formats import CSV, FORMATS, JSON, NDJSON, Format, as_csv, as_ndjson, as_page
from service.followers.rows import MAX_ROWS, RowsExpired
from service.http.content_negotiation import best_match
from service.http.errors import ApiError
from service.live.broadcaster import POLL_SECONDS

MAX_PAGE_ROWS: Final = 1_000
#: Routers cut a connection that is silent for half a minute.
HEARTBEAT_SECONDS: Final = 15.0

#: For the documentation.
ROWS_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": 'Of a walk its rows; of another job `{"result": ...}`',
        "headers": {
            "Heliograph-Next-Cursor": {
                "description": "Where to go on; not with `follow`",
                "schema": {"type": "string"},
            },
            "Heliograph-Complete": {
                "description": "`true`: the walk has ended, and nothing follows these rows",
                "schema": {"type": "string", "enum": ["true", "false"]},
            },
            "Heliograph-Status": {
                "description": "The walk's status when the answer began",
                "schema": {"type": "string"},
            },
        },
        "content": {
            NDJSON: {
                "example": '{"pk":"70000000001","username":"follower.0000001","full_name":'
                '"Follower 1","is_private":false,"is_verified":false}\n'
            },
            CSV: {
                "example": "pk,username,full_name,is_private,is_verified\r\n"
                "70000000001,follower.0000001,Follower 1,false,false\r\n"
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
    406: {"description": "None of the forms is in `Accept` (`not_acceptable`)"},
    409: {"description": "The job has no result, or not yet (`no_result`)"},
    410: {"description": "What the walk found is no longer kept (`result_gone`)"},
}


def negotiate_format(accept: str, *, follow: bool) -> Format:
    """The form that a caller gets.

    Parameters:
      accept: The Accept header; empty for anything.
      follow: Whether the rows are told as they come.

    Raises:
      ApiError: 406, none of the forms will do.
    """
    form = best_match(accept, (NDJSON,) if follow else FORMATS)
    if form is not None:
        return form
    if follow:
        raise ApiError(406, "not_acceptable", f"follow=true is told as {NDJSON}: accept that.")
    message = f"Rows are told as {', '.join(FORMATS)}: name one of them in Accept."
    raise ApiError(406, "not_acceptable", message)


async def stored_rows(
    web: AppServices, job: dict[str, Any], form: Format, start: int, limit: int | None
) -> Response:
    """What a walk has found so far.

    Parameters:
      web: The process' parts.
      job: The walk as the API shows it.
      form: From `form_of`.
      start: How many rows to leave out.
      limit: The most rows; None for all there are, or a page of JSON.

    Raises:
      ApiError: 410, it is no longer kept.
    """
    there = await _kept(web, job)
    most = MAX_ROWS if limit is None else limit
    end = max(start, min(there, start + (min(most, MAX_PAGE_ROWS) if form == JSON else most)))
    complete = job["finished_at"] is not None and end >= there
    headers = {**_headers(job, complete), "Heliograph-Next-Cursor": str(end)}
    pages = web.follower_rows.rows(job["id"], start, end)
    if form == NDJSON:
        return ClosingStreamingResponse(as_ndjson(pages), headers=headers, media_type=NDJSON)
    if form == CSV:
        headers["Content-Disposition"] = f'attachment; filename="{job["id"]}.csv"'
        return ClosingStreamingResponse(
            as_csv(pages, heading=start == 0), headers=headers, media_type=CSV
        )
    try:
        rows = [row async for some in pages for row in some]
    except RowsExpired:
        raise _rows_expired() from None
    return Response(as_page(rows, None if complete else str(end)), 200, headers, JSON)


async def follow_rows(
    web: AppServices, job: dict[str, Any], start: int, limit: int | None
) -> Response:
    """What a walk has found and finds, until it has ended.

    Parameters:
      web: The process' parts.
      job: The walk as the API shows it.
      start: How many rows to leave out.
      limit: The most rows; None for all.

    Raises:
      ApiError: 410, what it has found is no longer kept.
    """
    await _kept(web, job)
    end = MAX_ROWS if limit is None else start + limit
    # Without the last one nginx keeps the rows back until it has a buffer full of them.
    headers = {**_headers(job, complete=False), "X-Accel-Buffering": "no"}
    pages = iter_new_rows(web, job["id"], start, end)
    return ClosingStreamingResponse(as_ndjson(pages), headers=headers, media_type=NDJSON)


class ClosingStreamingResponse(StreamingResponse):
    """A stream whose source is closed with it, however it ends."""

    async def stream_response(self, send: Send) -> None:
        """Send it all."""
        async with aclosing(self.body_iterator):  # type: ignore[type-var]
            await super().stream_response(send)


async def iter_new_rows(
    web: AppServices, job_id: str, start: int, end: int, *, heartbeat: float = HEARTBEAT_SECONDS
) -> AsyncGenerator[list[bytes], None]:
    """The rows of a walk until it has ended, this process is to stop, or there are enough.

    Parameters:
      web: The process' parts.
      job_id: The walk.
      start: How many rows to leave out.
      end: The row to end before.
      heartbeat: After so many seconds without a row comes an empty list.
    """
    at, told = start, time.monotonic()
    with web.broadcaster.subscribe(job_id) as listener:
        while True:
            listener.take()
            there, ended = await _progress(web, job_id)
            if at < min(there, end):
                async with aclosing(web.follower_rows.rows(job_id, at, min(there, end))) as pages:
                    async for rows in pages:
                        yield rows
                at, told = min(there, end), time.monotonic()
            if ended or at >= end or listener.closed:
                return
            if time.monotonic() - told >= heartbeat:
                yield []
                told = time.monotonic()
            left = told + heartbeat - time.monotonic()
            await listener.wait(min(max(0, left), POLL_SECONDS))


async def _progress(web: AppServices, job_id: str) -> tuple[int, bool]:
    found = await web.jobs.records([job_id])
    return (found[0].users, found[0].ended) if found else (0, True)


async def _kept(web: AppServices, job: dict[str, Any]) -> int:
    """How many rows there are."""
    there: int = job["progress"]["users"]
    if there and not await web.follower_rows.are_stored(job["id"]):
        raise _rows_expired()
    return there


def _headers(job: dict[str, Any], complete: bool) -> dict[str, str]:
    return {
        "Cache-Control": "no-store",
        "Heliograph-Status": job["status"],
        "Heliograph-Complete": "true" if complete else "false",
    }


def _rows_expired() -> ApiError:
    message = (
        "What this walk found is no longer kept (BODY_RETENTION_DAYS from its end): make a new one."
    )
    return ApiError(410, "result_gone", message)
