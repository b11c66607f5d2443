"""Objects that a job is answered with."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.api.models.answer import Answer, Time, sometimes


class JobPhoto(Answer):
    """The photo of a DM. What is known once it is stored is null before."""

    from_: Literal["upload", "url"] = Field(alias="from", description="How it was given")
    bytes: int | None = Field(description="The size of the JPEG that is sent")
    width: int | None = Field(description="Pixels")
    height: int | None = Field(description="Pixels")
    sha256: str | None = Field(description="Of the file as it was given, in hex")


class JobWait(Answer):
    """What a waiting or held job waits for."""

    reason: str = Field(
        description="A budget (`dm_per_hour`), a gap, a cooldown, quiet hours, a hold, ..."
    )
    until: Time | None = Field(description="An estimate; null if it is unknown or up to a person")
    position: int | None = Field(
        description="How many jobs of its kind are before it; null if it is not in the queue"
    )


class ExportProgress(Answer):
    """How far a follower export is."""

    pages: int = Field(description="Pages read")
    users: int = Field(description="Rows found")
    expected: int | None = Field(description="What the profile says; null until it was read")
    limit: int | None = Field(description="The most rows; null for all")
    eta: Time | None = Field(description="When it may end, an estimate")


class JobError(Answer):
    """Why a job has ended without success."""

    code: str = Field(description="A stable code for programs", examples=["recipient_not_found"])
    message: str = Field(description="What happened and what to do, for people")
    retryable: bool = Field(description="Whether `POST /jobs/{job_id}/retry` may succeed")


class JobSource(Answer):
    """What asked for a job: an event (with a rule), or a caller of the API."""

    source: str | None = Field(description="The event's source")
    event_id: str | None
    rule: str | None = Field(description="The rule that created it")
    api_key: str = sometimes("The name of the caller's key; of jobs from the API only")
