"""A single job as it is answered, with what is kept beside its record."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.api.models.answer import Answer, Time, example
from service.api.models.jobs import JOB_EXAMPLE, Job

_THREAD_ID = "340282366841710300949128000000000000001"


class TextError(Answer):
    """Why a text that is stored cannot be shown."""

    code: Literal["text_unreadable"]
    message: str


class JobThread(Answer):
    """The conversation of a DM."""

    id: str
    url: str = Field(description="Opens it for the account that wrote")


class JobLinks(Answer):
    """Pages on instagram.com."""

    profile: str | None = Field(description="Of the recipient; null if no username is known")
    post: str | None


class JobStep(Answer):
    """A step of a job, by one worker."""

    at: Time
    by: str = Field(description="The worker")
    ended_at: Time | None = Field(description="null while it goes on")
    reason: str | None = Field(description="Why it ended so: the code of an error, or a few words")


class JobAttempt(JobStep):
    """An attempt at a job."""

    intent_at: Time | None = Field(description="When its write was about to happen; null if never")
    outcome: str | None = Field(
        description="`unconfirmed`: the write may have happened; else the status that it left"
    )


class VerificationRead(Answer):
    """What a verification lookup has read."""

    pages: int
    rows: int = Field(description="Messages or comments")
    matching: int = Field(description="Those that are the same as the write")
    similar: int = Field(description="Those that may be it")
    complete: bool = Field(description="Whether nothing else can show the write")


class JobVerification(JobStep):
    """A verification lookup: reading Instagram to learn whether the write arrived."""

    outcome: Literal["found", "not_found", "failed"] | None
    read: VerificationRead | None = Field(description="Of the last one only")


class JobTried(Answer):
    """What was tried, as the last 200 timeline entries tell."""

    write_token: str | None = Field(description="By which a DM is recognized")
    intent_at: Time | None = Field(
        description="When the last write was about to happen; null if it certainly did not"
    )
    attempts: list[JobAttempt]
    verifications: list[JobVerification]


class JobDetails(Job):
    """A job with what it sends, where to look for it, and what was tried."""

    model_config = example(
        **JOB_EXAMPLE,
        text=None,
        text_error=None,
        thread={"id": _THREAD_ID, "url": f"https://www.instagram.com/direct/t/{_THREAD_ID}/"},
        links={"profile": "https://www.instagram.com/some.handle/", "post": None},
        tried={
            "write_token": "7000000000000000001",
            "intent_at": "2026-11-20T10:26:49.020Z",
            "attempts": [
                {
                    "at": "2026-11-20T10:26:49.002Z",
                    "by": "vm:13632:84a436:2",
                    "ended_at": "2026-11-20T10:26:50.441Z",
                    "reason": None,
                    "intent_at": "2026-11-20T10:26:49.020Z",
                    "outcome": "succeeded",
                }
            ],
            "verifications": [],
        },
    )

    text: str | None = Field(
        description="The text, or the URL of its photo, while it is kept; null afterwards"
    )
    text_error: TextError | None = Field(description="Why a text that is kept is not shown")
    thread: JobThread | None = Field(description="Of a DM, if it is known")
    links: JobLinks
    tried: JobTried
