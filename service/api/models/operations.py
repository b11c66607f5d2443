"""Operations on many jobs or events, and their plans, as they are answered."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from service.api.models.answer import JOB_ID, Answer, Page, Time, example
from service.operations.event_replay import FindingOutcome

OPERATION_ID = "op_jegxacjdmuhgbwsjcg2fxbjjo5"


class PlannedProblem(Answer):
    """Why some jobs or events would be left as they are."""

    outcome: str = Field(description="A stable code for programs")
    count: int
    message: str = Field(description="Why, and what to do about it")


class Plan(Answer):
    """What would be done; nothing is yet."""

    action: Literal["cancel", "retry", "replay"]
    filter: dict[str, Any] = Field(description="As it was sent")
    reason: str | None
    token: str | None = Field(
        description="Send the same again with it to begin; null where nothing would change"
    )
    expires_at: Time | None = Field(description="Until when the token can be used")
    count: int = Field(description="How many jobs or events match")
    outcomes: dict[str, int] = Field(description="How many would end how")
    problems: list[PlannedProblem]


class BulkPlan(Plan):
    """What an operation on jobs would do."""

    model_config = example(
        action="cancel",
        filter={"account": "shop"},
        reason="wrong rule",
        token=OPERATION_ID,
        expires_at="2026-11-20T10:36:48.509Z",
        count=24,
        outcomes={"canceled": 24},
        problems=[],
        accounts={"shop": 24},
    )

    accounts: dict[str, int] = Field(description="How many of them each account has")


class PlannedJobs(Answer):
    """How many jobs the events that were evaluated would get."""

    create: int = Field(description="New ones")
    replace: int = Field(description="Jobs that were rejected at creation and would be filled in")


class ReplayPlan(Plan):
    """What a replay of many events would do."""

    rule: str | None = Field(description="The only rule that would run; null for all")
    sources: dict[str, int] = Field(description="How many of the events each source has")
    evaluated: int = Field(description="For how many events the rules were run for this plan")
    jobs: PlannedJobs


class RuleFinding(Answer):
    """What a replay would make of one rule for one event."""

    rule: str
    outcome: FindingOutcome
    message: str | None = Field(description="Why no job would be made")
    job_id: str | None = Field(description="The job that it has")
    kind: Literal["dm", "comment"] | None = Field(description="Of the job that it would get")
    account: str | None
    to: str | None
    post: str | None


class EventDryRun(Answer):
    """What a replay would make of one event."""

    source: str
    event_id: str
    outcome: str = Field(description="`would_make_jobs`, `unchanged`, or why nothing would be made")
    message: str | None
    rules: list[RuleFinding]


class ReplayDryRun(Page):
    """What a replay would make of each event, newest first."""

    items: list[EventDryRun]


class OperationResult(Answer):
    """What became of one job or event."""

    job_id: str | None = Field(description="Of an operation on jobs")
    source: str | None = Field(description="Of an operation on events")
    event_id: str | None
    outcome: str = Field(description="What was done, or why nothing was")
    message: str | None = Field(description="Why nothing was done, and what to do about it")
    jobs: list[str] = Field(description="The jobs that a replay has made of the event")


class OperationResultPage(Page):
    """What became of each job or event, in the order in which they are done."""

    items: list[OperationResult]


class Operation(Answer):
    """One action on many jobs or events."""

    model_config = example(
        id=OPERATION_ID,
        action="cancel",
        status="completed",
        filter={"account": "shop"},
        rule=None,
        reason="wrong rule",
        by="api:crm",
        started_at="2026-11-20T10:26:48.509Z",
        finished_at="2026-11-20T10:26:48.702Z",
        total=24,
        done=24,
        results={"canceled": 23, "not_cancelable": 1},
        problems=[
            {
                "job_id": JOB_ID,
                "source": None,
                "event_id": None,
                "outcome": "not_cancelable",
                "message": "Its write may have happened, or it has ended.",
                "jobs": [],
            }
        ],
        blocked=None,
    )

    id: str = Field(description="`op_` and 26 characters: the plan's token")
    action: Literal["cancel", "retry", "replay"]
    status: Literal["running", "completed", "canceled"]
    filter: dict[str, Any] = Field(description="As it was sent, without names of persons")
    rule: str | None = Field(description="The only rule that a replay runs; null for all")
    reason: str | None
    by: str = Field(description="`api:` and the name of the key that began it")
    started_at: Time
    finished_at: Time | None
    total: int = Field(description="Jobs or events")
    done: int
    results: dict[str, int] = Field(description="How many ended how")
    problems: list[OperationResult] = Field(description="The first that were left as they are")
    blocked: Literal["other_rules"] | None = Field(
        description="Why no worker goes on: none has the rules that it was planned with"
    )


class OperationPage(Page):
    """Operations, newest first; their `problems` are shown one by one only."""

    items: list[Operation]
