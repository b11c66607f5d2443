"""Walks over followers: asked for here, read by workers a page at a time, their rows told as they
come.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from service.api.auth import Caller, WebParts
from service.api.errors import ApiError
from service.api.idempotency import IdempotencyKey, created
from service.api.requests import Metadata, Name, invalid
from service.inbound.handles import NotAHandle
from service.jobs.model import JobDraft, Walk
from service.lookups.targets import user_target
from service.web import Web

router = APIRouter(tags=["look-ups"])

#: After every job that somebody is to be written to.
PRIORITY: Final = 1
MOST_ROWS: Final = 10_000_000
MOST_ON_A_PAGE: Final = 1_000
NDJSON, CSV, JSON = "application/x-ndjson", "text/csv", "application/json"
COLUMNS: Final = ("pk", "username", "full_name", "is_private", "is_verified")
#: What spreadsheets take for the beginning of a formula.
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")


class WalkRequest(BaseModel):
    """How far to walk, and whom to tell."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"limit": 1000}]})

    limit: Annotated[int, Field(strict=True, ge=1, le=MOST_ROWS)] | None = None
    account: Name | None = None
    callback: Name | None = None
    metadata: Metadata | None = None

    def draft(self, kind: Walk, username: str, web: Web) -> JobDraft:
        """The walk that is asked for.

        Parameters:
          kind: Which way.
          username: Whose followers.
          web: The process' parts.

        Raises:
          ApiError: 422, the message names the field; 503, nobody may read.
        """
        return JobDraft(
            kind=kind,
            account=self.account or "",
            readers=() if self.account else self._readers(web),
            to=_name(username),
            post=None,
            text="",
            callback=self._callback(web),
            priority=PRIORITY,
            metadata=self.metadata,
            most=self.limit,
        )

    def _readers(self, web: Web) -> tuple[str, ...]:
        readers = web.config.readers()
        if not readers:
            message = "No account may look things up: give one the role 'read' or 'both'."
            raise ApiError(503, "no_account", message)
        return readers

    def _callback(self, web: Web) -> str | None:
        if self.callback is not None and self.callback not in web.config.callbacks:
            message = "no such callback is configured: name a [callbacks.*] table"
            raise invalid("callback", message)
        account = web.config.accounts.get(self.account) if self.account else None
        if self.account is not None and (account is None or not account.may_read):
            raise invalid("account", "no such account may read: GET /accounts lists them")
        return self.callback


@router.post("/users/{username}/followers", status_code=202)
async def followers(
    username: str,
    response: Response,
    caller: Caller,
    web: WebParts,
    asked: WalkRequest | None = None,
    idempotency_key: IdempotencyKey = None,
) -> dict[str, Any]:
    """Walk over a user's followers."""
    draft = (asked or WalkRequest()).draft("followers", username, web)
    return await created(web, draft, response, caller, idempotency_key)


@router.post("/users/{username}/following", status_code=202)
async def following(
    username: str,
    response: Response,
    caller: Caller,
    web: WebParts,
    asked: WalkRequest | None = None,
    idempotency_key: IdempotencyKey = None,
) -> dict[str, Any]:
    """Walk over those a user follows."""
    draft = (asked or WalkRequest()).draft("following", username, web)
    return await created(web, draft, response, caller, idempotency_key)


def _name(given: str) -> str:
    try:
        return user_target(given).name
    except NotAHandle as error:
        raise invalid("username", str(error)) from None


async def rows_of(
    web: Web, job: dict[str, Any], accept: str, cursor: int, limit: int | None
) -> Response:
    """What a walk has found so far, in the form that is asked for.

    Parameters:
      web: The process' parts.
      job: The walk as the API shows it.
      accept: The Accept header.
      cursor: How many rows to leave out.
      limit: The most rows; None for all there are.
    """
    if JSON in accept:
        limit = min(limit or MOST_ON_A_PAGE, MOST_ON_A_PAGE)
    there = job["progress"]["users"]
    ends = there if limit is None else min(there, cursor + limit)
    lines = web.pages.rows(job["id"], cursor, max(0, ends - cursor))
    complete = job["finished_at"] is not None and ends >= there
    headers = {
        "Cache-Control": "no-store",
        "Heliograph-Next-Cursor": str(max(cursor, ends)),
        "Heliograph-Complete": "true" if complete else "false",
    }
    if CSV in accept:
        headers["Content-Disposition"] = f'attachment; filename="{job["id"]}.csv"'
        return StreamingResponse(_csv(lines, cursor == 0), headers=headers, media_type=CSV)
    if JSON in accept:
        return await _page(lines, None if complete else str(max(cursor, ends)), headers)
    return StreamingResponse(_ndjson(lines), headers=headers, media_type=NDJSON)


async def _ndjson(pages: AsyncIterator[list[bytes]]) -> AsyncIterator[bytes]:
    async for lines in pages:
        yield b"\n".join(lines) + b"\n"


async def _csv(pages: AsyncIterator[list[bytes]], from_the_top: bool) -> AsyncIterator[str]:
    if from_the_top:
        yield ",".join(COLUMNS) + "\r\n"
    async for lines in pages:
        sheet = io.StringIO()
        csv.writer(sheet).writerows(_cells(json.loads(line)) for line in lines)
        yield sheet.getvalue()


def _cells(row: dict[str, Any]) -> list[str]:
    cells = (str(row[column]) for column in COLUMNS)
    return [f"'{cell}" if cell.startswith(_FORMULAS) else cell for cell in cells]


async def _page(
    pages: AsyncIterator[list[bytes]], following: str | None, headers: dict[str, str]
) -> Response:
    items = [line async for lines in pages for line in lines]
    body = b'{"items":[%b],"next":%b}' % (b",".join(items), json.dumps(following).encode())
    return Response(body, headers=headers, media_type=JSON)
