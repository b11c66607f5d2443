"""Many jobs at once: a plan, and with its token an operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictStr

from service.api.auth import NarrowedJobsCaller, Services
from service.api.callers import Caller
from service.api.job_filters import JobFilterBody
from service.api.models.answer import shown_as
from service.api.models.operations import BulkPlan, Operation
from service.api.schemas import invalid
from service.dependencies import AppServices
from service.http.errors import ApiError
from service.jobs.audit_log import Requester
from service.jobs.lua.judge_jobs import JobAction
from service.jobs.lua.start_operation import StartReply
from service.operations.job_plans import JobPlan, find_jobs, with_default_statuses
from service.operations.store import MAX_ITEMS, Request, TooMany
from service.time_formats.timestamps import rfc3339

router = APIRouter(tags=["operations"])

#: For the documentation of routes that take a token.
UNUSABLE_TOKEN: Final = {
    "description": "The token is of another plan (`plan_mismatch`) or too old (`plan_expired`)"
}
_NARROW: Final = "narrow the filter, for example to one account"


def _check_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be one line without control characters")
    return text


Reason = Annotated[
    StrictStr,
    Field(max_length=200, description="Why, for timelines and the audit log"),
    AfterValidator(_check_line),
]
Token = Annotated[
    StrictStr | None,
    Field(pattern="^op_[a-z2-7]{26}$", description="From the plan: begins the operation"),
]


class BulkRequest(BaseModel):
    """What to do to which jobs."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"action": "cancel", "filter": {"account": "shop"}, "reason": "wrong rule"},
                {"action": "retry", "filter": {"status": ["uncertain"], "account": "shop"}},
            ]
        },
    )

    action: Literal["cancel", "retry"]
    filter: JobFilterBody
    reason: Reason = ""
    token: Token = None


@router.post(
    "/jobs:bulk",
    operation_id="plan_or_start_bulk",
    response_model=None,
    responses={
        200: shown_as(BulkPlan),
        202: shown_as(Operation),
        409: UNUSABLE_TOKEN,
    },
)
async def plan_or_start_bulk(
    body: BulkRequest, response: Response, caller: NarrowedJobsCaller, services: Services
) -> dict[str, Any]:
    """Plan to cancel or retry many jobs; with the plan's token, begin."""
    asked = body.filter.model_dump(mode="json", exclude_defaults=True)
    if not asked:
        message = "must have at least one field: an empty filter would mean every job"
        raise invalid("filter", message)
    _check_accounts(caller, body.filter.account)
    request = Request(body.action, asked)
    if body.token is not None:
        return await start_operation(services, request, caller, body.token, body.reason, response)
    plan = await _plan_jobs(services, body.action, body.filter)
    return {
        **await plan_answer(services, request, caller, plan.ids if plan.is_useful else ()),
        "reason": body.reason or None,
        "count": len(plan.ids),
        "accounts": plan.accounts,
        "outcomes": plan.outcomes,
        "problems": plan.problems(),
    }


def _check_accounts(caller: Caller, account: str | None) -> None:
    """Refuse a filter by which a key that is bound to accounts would reach jobs of others."""
    if caller.key.accounts is None:
        return
    if account is None:
        raise caller.not_bound_to("jobs of all accounts (name one in the filter)")
    caller.require_accounts([account])


async def _plan_jobs(services: AppServices, action: JobAction, asked: JobFilterBody) -> JobPlan:
    try:
        job_filter = with_default_statuses(asked.job_filter(), action)
        ids = await find_jobs(services.job_finder, job_filter)
    except TooMany:
        raise too_many("jobs") from None
    return JobPlan.of(ids, await services.operations.judge(action, ids))


def too_many(what: str) -> ApiError:
    """Build the 422 error for a filter that matches too much."""
    return ApiError(
        422, f"too_many_{what}", f"filter: more than {MAX_ITEMS} {what} match: {_NARROW}."
    )


async def plan_answer(
    services: AppServices, request: Request, caller: Requester, items: Sequence[str]
) -> dict[str, Any]:
    """Keep a plan, and return the part of its answer that all plans have; no items, no token."""
    plan = await services.operations.plan(request, caller, items) if items else None
    return {
        "action": request.action,
        "filter": request.filter,
        "token": plan.token if plan else None,
        "expires_at": rfc3339(plan.expires_ms) if plan else None,
    }


async def start_operation(
    services: AppServices,
    request: Request,
    caller: Requester,
    token: str,
    reason: str,
    response: Response,
) -> dict[str, Any]:
    """Begin the operation of a plan, or find that it was begun.

    Raises:
      ApiError: 409, the token is not one of this caller's plans for this request.
    """
    reply = await services.operations.start(token, request, caller, reason)
    if reply not in ("started", "repeated"):
        raise _unusable_token(reply)
    response.status_code = 202
    response.headers["Location"] = f"/operations/{token}"
    operation = await services.operations.show(token)
    if operation is None:
        raise _unusable_token("none")
    return operation


def _unusable_token(reply: StartReply) -> ApiError:
    if reply == "other":
        message = (
            "token: belongs to a plan of another API key, action, filter, rule or configuration:"
            " send what was planned, or ask for a new plan without a token."
        )
        return ApiError(409, "plan_mismatch", message)
    message = "token: is unknown, or its 10 minutes are over: ask for a new plan without a token."
    return ApiError(409, "plan_expired", message)
