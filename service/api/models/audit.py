"""The audit log as it is answered."""

from __future__ import annotations

from pydantic import Field

from service.api.models.answer import Answer, Page, Time


class AuditEntry(Answer):
    """A decision about a job, an account or a person; without the text of any job."""

    at: Time
    decision: str = Field(
        description="`send`, `wait`, `hold`, `refuse`, `cancel`, `retry`, `resume`, ..."
    )
    reason: str | None
    by: str | None = Field(description="A worker, `api:` and a key's name, `cli`, or a step")
    address: str | None = Field(description="Where the request came from")
    account: str | None = Field(description="`*` for all")
    job_id: str | None
    kind: str | None
    to: str | None
    post: str | None
    pk: str | None = Field(description="The id of the recipient or post")
    event_id: str | None
    rule: str | None
    note: str | None = Field(description="Of `settle`: the words of who settled the job")
    text_hash: str | None = Field(description="Equal for equal texts to the same recipient")


class AuditPage(Page):
    """Decisions, newest first."""

    items: list[AuditEntry]
