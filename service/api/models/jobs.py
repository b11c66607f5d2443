"""Jobs as they are answered."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field

from service.api.models.answer import JOB_ID, Answer, Page, Time, example, sometimes
from service.api.models.deliveries import Delivery
from service.api.models.errors import ErrorDetail
from service.api.models.job_parts import (
    ExportProgress,
    JobError,
    JobPhoto,
    JobSource,
    JobWait,
)
from service.api.models.job_results import JobResult
from service.api.models.reports import ReportSpec
from service.jobs.model import Kind, Status

JOB_EXAMPLE: Final = {
    "id": JOB_ID,
    "kind": "dm",
    "account": "shop",
    "to": "some.handle",
    "post": None,
    "status": "succeeded",
    "created_at": "2026-11-20T10:26:48.509Z",
    "run_at": "2026-11-20T10:26:48.509Z",
    "expires_at": None,
    "started_at": "2026-11-20T10:26:49.002Z",
    "finished_at": "2026-11-20T10:26:50.441Z",
    "erased_at": None,
    "attempts": 1,
    "run": 1,
    "priority": 5,
    "cancel_requested": False,
    "dry_run": False,
    "photo": None,
    "wait": None,
    "result": {
        "message_id": "31000000000000000000000000000000001",
        "thread_id": "340282366841710300949128000000000000001",
        "client_context": "7000000000000000001",
    },
    "error": None,
    "callback": "crm",
    "source": {
        "source": "stripe",
        "event_id": "evt_1PqKq3",
        "rule": "thank-you",
    },
    "metadata": {"order": 1042},
}


class Job(Answer):
    """A DM, comment, lookup, follower export or report."""

    model_config = example(**JOB_EXAMPLE)

    id: str = Field(description="`job_` and 26 characters")
    kind: Kind
    account: str | None = Field(description="The account that does it; null for a report")
    to: str | None = Field(
        description="A username, a user id in digits, or `@` and a username of digits"
    )
    post: str | None = Field(description="The post: a shortcode, or a media id")
    status: Status
    created_at: Time | None
    run_at: Time | None = Field(description="Not before")
    expires_at: Time | None = Field(description="Not after; null for never")
    started_at: Time | None = Field(description="When its latest attempt began")
    finished_at: Time | None
    erased_at: Time | None = Field(description="When what it said of a person was erased")
    attempts: int = Field(description="Attempts begun in this run")
    run: int = Field(description="1, and one more each time that a person retries or settles it")
    priority: int = Field(description="0 to 9; higher runs first")
    cancel_requested: bool
    dry_run: bool = Field(description="Everything but the write")
    photo: JobPhoto | None
    wait: JobWait | None = Field(description="While it is `waiting` or `held`")
    progress: ExportProgress = sometimes("How far it is; of a follower export only")
    report: ReportSpec = sometimes("What it is about; of a report only")
    result: JobResult | None = Field(description="Once it has succeeded or was settled")
    error: JobError | None = Field(description="Once it has ended without success")
    callback: str | None = Field(description="The callback endpoint that its end is posted to")
    source: JobSource
    metadata: dict[str, Any] | None = Field(description="The caller's own")


class JobPage(Page):
    """Jobs, newest first."""

    items: list[Job]


class ListedJob(Answer):
    """What became of one job of a list."""

    status: int = Field(description="202 if it was created, else the status of its error")
    job: Job | None
    error: ErrorDetail | None


class CreatedJobs(Answer):
    """What became of each job of a list, in its order."""

    items: list[ListedJob]


class TimelineEntry(Answer):
    """One change of a job's status."""

    at: Time
    status: Status = Field(description="The status after it")
    by: str = Field(description="Who made the change: a worker, `api:` and a key's name, a step")
    why: str | None


class Timeline(Answer):
    """The last 200 changes of a job's status, oldest first, and its deliveries."""

    items: list[TimelineEntry]
    next: None = Field(description="There are no further pages")
    deliveries: list[Delivery] = Field(description="One per run at most, oldest first")


class JobPreview(Answer):
    """What would happen to a job if it were created now."""

    model_config = example(
        decision="wait",
        reason="dm_per_hour",
        earliest="2026-11-20T11:02:11.000Z",
        needs_a_person=False,
        dry_run=False,
        message="The job would wait, then be sent.",
        warnings=[],
    )

    decision: Literal["send", "wait", "refuse"]
    reason: str | None = Field(description="null for `send`")
    earliest: Time | None = Field(
        description="When it may be sent, or would no longer be refused; null if unknown"
    )
    needs_a_person: bool = Field(description="Whether only a person can change the decision")
    dry_run: bool
    message: str
    warnings: list[str] = Field(description="What Instagram may do to the text")
