"""Walks over followers: asked for here, read by workers a page at a time."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from service.api.auth import Caller, WebParts
from service.api.idempotency import IdempotencyKey, create_job_once
from service.api.schemas import Metadata, Name, invalid
from service.dependencies import AppServices
from service.followers.rows import MAX_ROWS
from service.http.errors import ApiError, error_response
from service.instagram.ids import InvalidIdentifier
from service.jobs.model import FollowerKind, JobDraft
from service.lookups.targets import user_target

router = APIRouter(tags=["look-ups"])

#: After every job that somebody is to be written to.
PRIORITY: Final = 1

#: For the documentation: a walk on its way.
_EXPORT_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    202: {
        "description": "The walk",
        "content": {
            "application/json": {
                "example": {
                    "id": "job_jegxacjdmuhgbwsjcg2fxbjjo5",
                    "kind": "followers",
                    "account": "reader",
                    "to": "some.handle",
                    "status": "waiting",
                    "wait": {
                        "reason": "lookup_gap",
                        "until": "2026-11-20T10:27:03.000Z",
                        "position": 0,
                    },
                    "progress": {
                        "pages": 3,
                        "users": 600,
                        "expected": 2450,
                        "limit": 5000,
                        "eta": "2026-11-20T10:27:58.000Z",
                    },
                }
            }
        },
    },
    422: {"description": "A field is not usable; the message names it (`invalid_request`)"},
    503: {"description": "No account may read (`no_account`)"},
}


class FollowerExportRequest(BaseModel):
    """How far to walk, and whom to tell."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"limit": 1000}]})

    limit: Annotated[int, Field(strict=True, ge=1, le=MAX_ROWS)] | None = None
    account: Name | None = None
    callback: Name | None = None
    metadata: Metadata | None = None

    def draft(self, kind: FollowerKind, username: str, web: AppServices) -> JobDraft:
        """The walk that is asked for.

        Parameters:
          kind: Which way.
          username: Whose followers.
          web: The process' parts.

        Raises:
          ApiError: 422, the message names the field; 503, nobody may read.
        """
        self._check_names(web)
        return JobDraft(
            kind=kind,
            account=self.account or "",
            candidate_accounts=() if self.account else _candidate_accounts(web),
            to=_name(username),
            post=None,
            text="",
            callback=self.callback,
            priority=PRIORITY,
            metadata=self.metadata,
            max_rows=self.limit,
        )

    def _check_names(self, web: AppServices) -> None:
        if self.callback is not None and self.callback not in web.config.callbacks:
            message = "no such callback is configured: name a [callbacks.*] table"
            raise invalid("callback", message)
        if self.account is None:
            return
        account = web.config.accounts.get(self.account)
        if account is None:
            raise invalid("account", "no such account is configured: GET /accounts lists them")
        if not account.may_read:
            message = "this account only writes: name one with the role 'read' or 'both', or none"
            raise invalid("account", message)


def _candidate_accounts(web: AppServices) -> tuple[str, ...]:
    readers = web.config.lookup_accounts()
    if not readers:
        message = "No account may look things up: give one the role 'read' or 'both'."
        raise ApiError(503, "no_account", message)
    return readers


@router.post("/users/{username}/followers", status_code=202, responses=_EXPORT_RESPONSES)
async def followers(
    username: str,
    response: Response,
    caller: Caller,
    web: WebParts,
    asked: FollowerExportRequest | None = None,
    idempotency_key: IdempotencyKey = None,
) -> dict[str, Any]:
    """Walk over a user's followers."""
    return await _start_export(
        web,
        asked or FollowerExportRequest(),
        "followers",
        username,
        response,
        caller,
        idempotency_key,
    )


@router.get("/users/{username}/followers", include_in_schema=False)
@router.get("/users/{username}/following", include_in_schema=False)
async def nothing_to_get() -> Response:
    """Say how a walk is begun: without this it would be looked up as the name of a user."""
    message = "Begin a walk with POST; GET /jobs/{id}/result tells what it has found."
    return error_response(405, "method_not_allowed", message, headers={"Allow": "POST"})


@router.post("/users/{username}/following", status_code=202, responses=_EXPORT_RESPONSES)
async def following(
    username: str,
    response: Response,
    caller: Caller,
    web: WebParts,
    asked: FollowerExportRequest | None = None,
    idempotency_key: IdempotencyKey = None,
) -> dict[str, Any]:
    """Walk over those a user follows."""
    return await _start_export(
        web,
        asked or FollowerExportRequest(),
        "following",
        username,
        response,
        caller,
        idempotency_key,
    )


async def _start_export(
    web: AppServices,
    asked: FollowerExportRequest,
    kind: FollowerKind,
    username: str,
    response: Response,
    caller: str,
    idempotency_key: str | None,
) -> dict[str, Any]:
    draft = asked.draft(kind, username, web)
    # Of what the caller has said, not of what a configuration makes of it.
    said = {**asked.model_dump(mode="json"), "kind": kind, "username": draft.to}
    request = json.dumps(said, sort_keys=True)
    return await create_job_once(web, draft, response, caller, idempotency_key, request)


def _name(given: str) -> str:
    try:
        return user_target(given).recipient
    except InvalidIdentifier as error:
        raise invalid("username", str(error)) from None
