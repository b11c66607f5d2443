"""Replays of many events: a dry run, a plan, and with its token an operation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, StrictStr

from service.api.auth import JobsCaller, Services
from service.api.bulk import UNUSABLE_TOKEN, Reason, Token, plan_answer, start_operation, too_many
from service.api.list_filters import unix_ms
from service.api.models.answer import shown_as
from service.api.models.operations import Operation, ReplayDryRun, ReplayPlan
from service.api.pagination import Cursor, Limit, parse_cursor
from service.api.schemas import Timestamp, invalid
from service.dependencies import AppServices
from service.events.event_filter import EventFilter, EventOutcome, EventStatus
from service.jobs.records import EventRecord
from service.operations.event_replay import EventReplay
from service.operations.event_selection import EventSelection
from service.operations.model import PROBLEMS
from service.operations.store import Request, TooMany

router = APIRouter(tags=["operations"])

#: The most events for which a plan runs the rules; an operation runs them for all.
MAX_EVALUATED: Final = 500

_Name = Annotated[StrictStr, Field(min_length=1, max_length=255)]


class EventFilterBody(BaseModel):
    """Which events: those that meet everything that is given."""

    model_config = ConfigDict(extra="forbid")

    event_ids: Annotated[list[_Name], Field(min_length=1, max_length=1_000)] | None = None
    source: _Name | None = None
    type: Annotated[
        _Name | None, Field(description="Their type; `*` and `?` match as in rules")
    ] = None
    status: EventStatus = "accepted"
    rule: Annotated[_Name | None, Field(description="Name of a rule that was for them")] = None
    outcome: EventOutcome | None = None
    created_since: Timestamp | None = None
    created_until: Timestamp | None = None

    def selection(self) -> EventSelection:
        """The filter as the ledger has it.

        Raises:
          ApiError: 422; the message names the field.
        """
        since, until = unix_ms(self.created_since), unix_ms(self.created_until)
        if since is not None and until is not None and since >= until:
            raise invalid("filter.created_until", "must be later than created_since")
        statuses = (
            () if self.event_ids and "status" not in self.model_fields_set else (self.status,)
        )
        asked = EventFilter(
            source=self.source,
            type=self.type,
            statuses=statuses,
            rule=self.rule,
            outcome=self.outcome,
            created_since_ms=since,
            created_until_ms=until,
        )
        return EventSelection(asked, tuple(self.event_ids or ()))


class ReplayRequest(BaseModel):
    """Which events to replay, with which rules."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"filter": {"source": "stripe", "outcome": "rejected"}, "dry_run": True},
                {"filter": {"event_ids": ["evt_1"]}, "rule": "thank-you", "reason": "typo"},
            ]
        },
    )

    filter: EventFilterBody
    rule: Annotated[_Name | None, Field(description="The only rule to run; null for all")] = None
    dry_run: Annotated[
        bool, Field(strict=True, description="Only say what each rule would do with each event")
    ] = False
    reason: Reason = ""
    token: Token = None


@router.post(
    "/events:replay",
    operation_id="plan_or_start_replay",
    response_model=None,
    responses={
        200: {"model": ReplayPlan | ReplayDryRun, "description": "The plan, or the dry run"},
        202: shown_as(Operation),
        409: UNUSABLE_TOKEN,
    },
)
async def plan_or_start_replay(
    body: ReplayRequest,
    response: Response,
    caller: JobsCaller,
    services: Services,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """Plan to replay many events; with the plan's token, begin. `dry_run` plans nothing."""
    asked = body.filter.model_dump(mode="json", exclude_defaults=True)
    if not asked:
        raise invalid("filter", "must have at least one field: an empty one would mean every event")
    if body.rule is not None and body.rule not in services.replays.names:
        raise invalid("rule", "no such rule is configured: use the name of a [[rules]] entry")
    if body.dry_run:
        return await _dry_run(services, body, parse_cursor(cursor), limit)
    request = Request("replay", asked, body.rule or "", services.replays.digest)
    if body.token is not None:
        return await start_operation(services, request, caller, body.token, body.reason, response)
    events = await _select(services, body.filter)
    plans = [
        await services.replays.plan(event, body.rule or "") for event in events[:MAX_EVALUATED]
    ]
    items = [f"{event.source}:{event.id}" for event in events]
    return {
        **await plan_answer(services, request, caller, items),
        "rule": body.rule,
        "reason": body.reason or None,
        **_plan_view(events, plans),
    }


async def _dry_run(
    services: AppServices, body: ReplayRequest, cursor: int | None, limit: int
) -> dict[str, Any]:
    if body.token is not None:
        raise invalid("token", "is not allowed with dry_run, which changes nothing")
    selection = body.filter.selection()
    events, following = await services.event_selector.page(selection, cursor=cursor, limit=limit)
    plans = [await services.replays.plan(event, body.rule or "") for event in events]
    return {
        "items": [plan.public() for plan in plans],
        "next": None if following is None else str(following),
    }


async def _select(services: AppServices, asked: EventFilterBody) -> list[EventRecord]:
    try:
        return await services.event_selector.all(asked.selection())
    except TooMany:
        raise too_many("events") from None


def _plan_view(events: Sequence[EventRecord], plans: Sequence[EventReplay]) -> dict[str, Any]:
    """The counts of a plan; what would happen is known of the events that were evaluated."""
    outcomes = Counter(plan.summary for plan in plans)
    jobs = Counter(finding.outcome for plan in plans for finding in plan.findings)
    return {
        "count": len(events),
        "sources": dict(sorted(Counter(event.source for event in events).items())),
        "evaluated": len(plans),
        "outcomes": dict(outcomes.most_common()),
        "jobs": {"create": jobs["would_create"], "replace": jobs["would_replace"]},
        "problems": [
            {"outcome": outcome, "count": count, "message": PROBLEMS[outcome]}
            for outcome, count in outcomes.most_common()
            if outcome in PROBLEMS
        ],
    }
