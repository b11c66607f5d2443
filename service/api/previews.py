"""What would become of a job, and what has been decided so far: explanations, no actions."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query

from service.api.auth import Caller, WebParts
from service.api.jobs import build_draft
from service.api.pagination import Limit
from service.api.schemas import JobRequest
from service.dependencies import AppServices
from service.jobs.replies import Preview
from service.time_formats.timestamps import rfc3339

router = APIRouter(tags=["jobs"])

_MESSAGES: Final = {
    "send": "It would be sent now.",
    "wait": "It would wait, and then be sent.",
    "refuse": "It would be made and end without being sent.",
}


@router.post("/jobs:preview")
async def preview(asked: JobRequest, caller: Caller, web: WebParts) -> dict[str, Any]:
    """Tell what would become of a job now, without making it: send, wait or refuse, and why."""
    draft = build_draft(asked, web)
    pk = await _known_pk(web, draft.to) if draft.to else None
    preview = await web.ledger.preview(draft, caller=caller, pk=pk or "")
    return _shown(preview, draft.dry_run or web.settings.dry_run)


async def _known_pk(web: AppServices, to: str) -> str | None:
    return to if to.isdigit() else await web.user_ids.pk(to)


def _shown(preview: Preview, dry_run: bool) -> dict[str, Any]:
    message = _MESSAGES[preview.decision]
    if preview.decision == "wait" and preview.person:
        message = "It would be held until a person lets it go on."
    return {
        "decision": preview.decision,
        "reason": preview.reason,
        "earliest": rfc3339(preview.earliest_ms),
        "needs_a_person": preview.person,
        "dry_run": dry_run,
        "message": message + (" Nothing is written: it is a dry run." if dry_run else ""),
    }


@router.get("/audit")
async def audit(
    _caller: Caller,
    web: WebParts,
    account: str | None = None,
    cursor: Annotated[str | None, Query(pattern=r"^[0-9]{1,16}-[0-9]{1,9}$")] = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """List what was decided about jobs and accounts, newest first; never what jobs say."""
    items, following = await web.audit_log.page(account=account, cursor=cursor, limit=limit)
    return {"items": items, "next": following}
