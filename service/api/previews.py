"""Previews of jobs, and the audit log of past decisions."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query

from service.api.auth import NarrowedJobsCaller, NarrowedReadCaller, Services
from service.api.job_drafts import build_draft
from service.api.list_filters import Created, NameFilter
from service.api.models.answer import shown_as
from service.api.models.audit import AuditPage
from service.api.models.jobs import JobPreview
from service.api.pagination import CURSOR_QUERY, Limit, list_cursor
from service.api.schemas import JobRequest
from service.dependencies import AppServices
from service.instagram.limits import cautions
from service.jobs.audit_filter import AuditFilter
from service.jobs.replies import Preview
from service.time_formats.timestamps import rfc3339

router = APIRouter(tags=["jobs"])

#: The id of a stream's entry; Redis takes none below that of 0-0.
EntryCursor = Annotated[str | None, CURSOR_QUERY, list_cursor("[1-9][0-9]{0,15}-[0-9]{1,15}")]

_MESSAGES: Final = {
    "send": "The job would be sent now.",
    "wait": "The job would wait, then be sent.",
    "refuse": "The job would be created and end without being sent.",
}


@router.post("/jobs:preview", operation_id="preview_job", responses={200: shown_as(JobPreview)})
async def preview_job(
    body: JobRequest, caller: NarrowedJobsCaller, services: Services
) -> dict[str, Any]:
    """Preview a job without creating it: would it be sent, wait or be refused now, and why?"""
    draft = build_draft(body, services)
    caller.require_accounts((draft.account,))
    pk = await _known_pk(services, draft.to) if draft.to else None
    preview = await services.ledger.preview(draft, caller=caller.key_name, pk=pk or "")
    view = _preview_view(preview, draft.dry_run or services.settings.dry_run)
    return {**view, "warnings": [f"text: {caution}" for caution in cautions(body.kind, draft.text)]}


async def _known_pk(services: AppServices, to: str) -> str | None:
    return to if to.isdigit() else await services.user_ids.pk(to)


def _preview_view(preview: Preview, dry_run: bool) -> dict[str, Any]:
    message = _MESSAGES[preview.decision]
    if preview.decision == "wait" and preview.person:
        message = "The job would be held until a person acts."
    return {
        "decision": preview.decision,
        "reason": preview.reason,
        "earliest": rfc3339(preview.earliest_ms),
        "needs_a_person": preview.person,
        "dry_run": dry_run,
        "message": message
        + (" Nothing would be written, because it is a dry run." if dry_run else ""),
    }


async def _audit_filter(
    created: Created,
    account: Annotated[
        NameFilter | None, Query(description="The account that it is about; `*` for all accounts")
    ] = None,
    job_id: Annotated[NameFilter | None, Query(description="The job that it is about")] = None,
    by: Annotated[
        NameFilter | None, Query(description="Who decided: `api:KEYNAME`, `cli`, a worker, ...")
    ] = None,
    decision: Annotated[
        NameFilter | None, Query(description="What was decided: `send`, `hold`, `cancel`, ...")
    ] = None,
) -> AuditFilter:
    return AuditFilter(account, job_id, by, decision, created.since_ms, created.until_ms)


@router.get("/audit", operation_id="list_audit_entries", responses={200: shown_as(AuditPage)})
async def list_audit_log(
    caller: NarrowedReadCaller,
    services: Services,
    audit_filter: Annotated[AuditFilter, Depends(_audit_filter)],
    cursor: EntryCursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """List decisions about jobs and accounts, newest first; without the texts of jobs."""
    account = caller.key.only_account(audit_filter.account)
    items, next_cursor = await services.audit_log.page(
        replace(audit_filter, account=account), cursor=cursor, limit=limit
    )
    shown = [each for each in items if caller.key.sees(each["account"])]
    return {"items": shown, "next": next_cursor}
