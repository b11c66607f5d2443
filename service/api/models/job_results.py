"""Results of jobs, by what the job did."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.api.models.answer import Answer, Time, sometimes
from service.api.models.reports import ReportResult
from service.lookups.schemas import PostView, UserView

#: As `service.jobs.model.INCOMPLETE_REASONS`.
IncompleteReason = Literal[
    "limited_by_instagram",
    "ended_early",
    "repeated_pages",
    "endless_list",
    "rows_dropped",
    "row_limit",
]


class DmResult(Answer):
    """A DM that Instagram has stored."""

    message_id: str
    thread_id: str | None
    client_context: str | None = Field(description="The write token that it carries")


class CommentResult(Answer):
    """A comment that Instagram has stored."""

    comment_id: str


class FollowerExportResult(Answer):
    """A follower export that has ended; its rows are at `result_url`."""

    users: int = Field(description="Rows")
    pages: int = Field(description="Pages read")
    complete: bool = sometimes("Whether it has the whole list; unknown of exports of 0.2.0")
    incomplete_reason: IncompleteReason | None = Field(
        default=None, description="Why it has a part of the list only"
    )
    dropped_rows: int = sometimes("Users that Instagram sent without an id")
    result_url: str


class Settlement(Answer):
    """How a person has settled an uncertain job."""

    settled_as: Literal["sent", "not_sent"] = Field(alias="as")
    by: str = Field(description="`api:` and the name of the caller's key")
    at: Time
    note: str | None


class SettledResult(Answer):
    """A job that a person has settled, with what is known of its write."""

    settled: Settlement
    thread_id: str = sometimes("The thread of a DM that is there, if it is known")
    client_context: str = sometimes("The write token of a DM that is there")


class DryRunResult(Answer):
    """A dry run: everything but the write was done."""

    dry_run: Literal[True]


JobResult = (
    ReportResult
    | PostView
    | UserView
    | FollowerExportResult
    | SettledResult
    | DmResult
    | CommentResult
    | DryRunResult
)


class ResultAnswer(Answer):
    """The result of a job that is not a follower export."""

    result: JobResult
