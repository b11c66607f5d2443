"""Events as they are answered."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.api.models.answer import Answer, Page, Time, sometimes
from service.events.rules import NoteOutcome


class RuleNote(Answer):
    """What one rule made of an event."""

    rule: str
    outcome: NoteOutcome = Field(
        description="`rejected`: it matched, and its job ended at once, because a field could not"
        " be filled in"
    )
    message: str | None = Field(description="Why it could not be evaluated or filled in")
    code: str = sometimes("Of `rejected`: the code of the job's error")


class Event(Answer):
    """What a sender's webhook reported."""

    id: str = Field(description="The sender's id, or one that was derived from the body")
    source: str
    type: str = Field(description="As the sender names it")
    status: Literal["accepted", "ignored", "quarantined", "conflict"]
    received_at: Time
    livemode: bool | None
    jobs: list[str] = Field(description="The ids of its jobs")
    rules: list[RuleNote] = Field(description="Of rules whose source and type match")


class EventPage(Page):
    """Events, newest first."""

    items: list[Event]


class BodyError(Answer):
    """Why the body is not shown."""

    code: str
    message: str


class EventDetail(Event):
    """One event with its body."""

    body: str | None = Field(description="As it was received; null when it is no longer kept")
    body_error: BodyError = sometimes("Why the body is not shown, if it cannot be decrypted")


class EventReplay(Answer):
    """The jobs of an event after its rules have run again."""

    event_id: str
    jobs: list[str] = Field(description="The ids of all its jobs")
    created: list[str] = Field(description="Those that are new")
    replaced: list[str] = Field(
        description="Those that were rejected at creation, and have been filled in"
    )


class WebhookReceipt(Answer):
    """What a webhook has led to."""

    event_id: str | None = Field(description="The id that it is stored under; null if quarantined")
    duplicate: bool = Field(description="Whether it was received before")
    jobs: list[str] = Field(description="The ids of its jobs")
    quarantined: Literal[True] = sometimes("It is authentic, but not a usable event")
    conflict: Literal[True] = sometimes("Its id is known with other data: no rule has run")
    response_action: Literal["clear"] = sometimes("Closes a Slack modal")


class SlackChallenge(Answer):
    """Slack's check of a request URL, answered."""

    challenge: str
