"""What is kept about a person, as it is answered."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from service.api.models.answer import NO_EXAMPLE, Answer, Page, Time, sometimes
from service.api.models.audit import AuditEntry
from service.api.models.deliveries import DeliveryDetail
from service.api.models.jobs import Job, TimelineEntry
from service.api.models.suppressions import SuppressionEntry


class Unreadable(Answer):
    """In place of what cannot be decrypted."""

    error: str


class PersonEvent(Answer):
    """An event that led to a job of the person."""

    source: str
    id: str
    body: str | Unreadable | None


class KeptUntil(Answer):
    """When what is kept of a job is deleted; null until the job has ended."""

    record: Time | None
    text: Time | None


class PersonJob(Job):
    """A job of the person, with everything that is kept with it."""

    model_config = NO_EXAMPLE

    pk: str | None
    text: str | Unreadable | None = Field(description="null when it is no longer kept")
    photo_bytes: int = Field(description="The size of its stored photo")
    timeline: list[TimelineEntry]
    events: list[PersonEvent]
    deliveries: list[DeliveryDetail | None]
    audit: list[AuditEntry]
    kept_until: KeptUntil


class PersonThread(Answer):
    """An account that is known to have a thread with the person."""

    account: str
    pk: str


class PersonCache(Answer):
    """A copy of a profile or post, or a known id."""

    key: str
    content: Any
    kept_until: Time | None


class PersonNames(Answer):
    """Who is meant."""

    asked: str = Field(description="A username in its normal form, or `pk:` and a user id")
    names: list[str] = Field(description="What jobs and caches show to be the same person")
    other_ids: list[str] = Field(description="Ids that have had this username, if several have")


class PersonPage(Page):
    """Everything that is kept about a person: a page of jobs; the rest is on the first page."""

    person: PersonNames
    complete: bool = Field(description="Whether all jobs of older releases have been searched")
    suppressions: list[SuppressionEntry] = sometimes("On the first page")
    threads: list[PersonThread] = sometimes("On the first page")
    caches: list[PersonCache] = sometimes("On the first page")
    items: list[PersonJob]


class ErasedCounts(Answer):
    """What one request has erased."""

    jobs: int
    caches: int = Field(description="Cached profiles and posts, known ids, threads, suppressions")
    rows: int = Field(description="Rows of follower exports")
    audit_entries: int = Field(description="Entries that older releases wrote")


class PersonErasure(Answer):
    """What one request has erased, and whether another one is needed."""

    erased: ErasedCounts
    other_ids: list[str] = Field(description="Ids that have had this username: ask for each")
    done: bool
