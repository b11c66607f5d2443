"""Follower exports: requested here, read by workers page by page."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from service.api.auth import NarrowedJobsCaller, Services
from service.api.callers import Caller
from service.api.idempotency import CONFLICT, CREATED_HEADERS, IdempotencyKey, create_job_once
from service.api.models.answer import keep_nulls, shown_as
from service.api.models.jobs import JOB_EXAMPLE, Job
from service.api.schemas import Metadata, Name, check_callback, find_account, invalid
from service.dependencies import AppServices
from service.followers.rows import MAX_ROWS
from service.http.errors import ApiError, error_response
from service.instagram.ids import InvalidIdentifier
from service.jobs.model import FollowerKind, JobDraft
from service.lookups.targets import user_target

router = APIRouter(tags=["lookups"])

#: Below the default, so that exports run after DMs and comments.
PRIORITY: Final = 1

#: For the documentation: an export that is running.
_EXPORT_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    202: {
        **shown_as(Job),
        "headers": CREATED_HEADERS,
        "description": "The export job",
        "content": {
            "application/json": {
                "example": keep_nulls(
                    {
                        **JOB_EXAMPLE,
                        "kind": "followers",
                        "account": "reader",
                        "status": "waiting",
                        "finished_at": None,
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
                        "result": None,
                        "source": {
                            "source": None,
                            "event_id": None,
                            "rule": None,
                            "api_key": "crm",
                        },
                    }
                )
            }
        },
    },
    409: CONFLICT,
    503: {"description": "No configured account may read (`no_account`)"},
}


class FollowerExportRequest(BaseModel):
    """Options of a follower export."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"limit": 1000}]})

    limit: Annotated[int, Field(strict=True, ge=1, le=MAX_ROWS)] | None = None
    account: Name | None = None
    callback: Name | None = None
    metadata: Metadata | None = None

    def draft(
        self, kind: FollowerKind, username: str, services: AppServices, caller: Caller
    ) -> JobDraft:
        """Build the draft of the export job.

        Parameters:
          kind: `followers` or `following`.
          username: Whose followers to export, as the caller wrote it.
          services: The services of the process.
          caller: Whose key may be bound to accounts.

        Raises:
          ApiError: 422, the message names the field; 503, no account may read.
        """
        self._check_names(services)
        return JobDraft(
            kind=kind,
            account=self.account or "",
            candidate_accounts=() if self.account else _candidate_accounts(services, caller),
            to=_recipient(username),
            post=None,
            text="",
            callback=self.callback,
            priority=PRIORITY,
            metadata=self.metadata,
            max_rows=self.limit,
        )

    def _check_names(self, services: AppServices) -> None:
        check_callback(self.callback, services.config)
        if self.account is not None and not find_account(self.account, services.config).may_read:
            raise invalid("account", "has the role 'write': use one that may read, or leave it out")


def _candidate_accounts(services: AppServices, caller: Caller) -> tuple[str, ...]:
    readers = services.config.lookup_accounts(caller.key.accounts)
    if not readers:
        message = "No account of this key may do lookups: give one the role 'read' or 'both'."
        raise ApiError(503, "no_account", message)
    return readers


def _add_route(kind: FollowerKind, description: str) -> None:
    @router.post(
        f"/users/{{username}}/{kind}",
        name=f"export_{kind}",
        operation_id=f"export_{kind}",
        summary=description,
        description=description,
        status_code=202,
        responses=_EXPORT_RESPONSES,
    )
    async def export(
        username: str,
        response: Response,
        caller: NarrowedJobsCaller,
        services: Services,
        body: FollowerExportRequest | None = None,
        idempotency_key: IdempotencyKey = None,
    ) -> dict[str, Any]:
        body = body or FollowerExportRequest()
        draft = body.draft(kind, username, services, caller)
        # Identify the request by what the caller sent, not by what the configuration makes of it.
        identity = {**body.model_dump(mode="json"), "kind": kind, "username": draft.to}
        request = json.dumps(identity, sort_keys=True)
        return await create_job_once(services, draft, response, caller, idempotency_key, request)


_add_route("followers", "Export a user's followers.")
_add_route("following", "Export the users that a user follows.")


@router.get("/users/{username}/followers", include_in_schema=False)
@router.get("/users/{username}/following", include_in_schema=False)
async def reject_get() -> Response:
    """Explain how to start an export; the profile route would take the path for a username."""
    message = "Start an export with POST; GET /jobs/{id}/result returns its rows."
    return error_response(405, "method_not_allowed", message, headers={"Allow": "POST"})


def _recipient(username: str) -> str:
    try:
        return user_target(username).recipient
    except InvalidIdentifier as error:
        raise invalid("username", str(error)) from None
