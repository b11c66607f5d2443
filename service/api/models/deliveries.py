"""Deliveries as they are answered."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.api.models.answer import NO_EXAMPLE, Answer, Page, Time, example
from service.api.models.callbacks import Callback
from service.deliveries.attempt_results import AttemptOutcome
from service.deliveries.delivery_filter import DeliveryStatus

CallbackType = Literal[
    "job.succeeded",
    "job.failed",
    "job.canceled",
    "job.expired",
    "job.uncertain",
    "account.held",
    "account.resumed",
]


class Delivery(Answer):
    """One callback that is owed."""

    model_config = example(
        id="dlv_jegxacjdmuhgbwsjcg2fxbjjo5_1",
        job_id="job_jegxacjdmuhgbwsjcg2fxbjjo5",
        run=1,
        callback="crm",
        type="job.succeeded",
        status="delivered",
        attempts=1,
        code=None,
        created_at="2026-11-20T10:26:50.441Z",
        next_attempt_at=None,
        ended_at="2026-11-20T10:26:50.702Z",
    )

    id: str = Field(description="`dlv_...`; every attempt sends it as `webhook-id`")
    job_id: str | None = Field(description="null for a callback about an account")
    run: int = Field(description="The job's run that it reports")
    callback: str = Field(description="The callback endpoint")
    type: CallbackType
    status: DeliveryStatus
    attempts: int = Field(description="Attempts that count")
    code: str | None = Field(description="Why the last attempt failed; null if it did not")
    created_at: Time
    next_attempt_at: Time | None = Field(description="While it is `pending`")
    ended_at: Time | None


class DeliveryPage(Page):
    """Deliveries, newest first."""

    items: list[Delivery]


class DeliveryAttempt(Answer):
    """One attempt at a delivery."""

    number: int | None = Field(description="From 1; null for one that does not count")
    at: Time
    outcome: AttemptOutcome
    code: str = Field(description="`http_200`, `redirect`, `timeout`, `dns_failed`, ...")
    message: str | None
    status: int | None = Field(description="The HTTP status of the answer, if there was one")
    duration_ms: int
    body: str = Field(description="The beginning of the answer, at most 4 KiB, without secrets")
    next_in_ms: int | None = Field(description="When the next attempt follows, if one does")


class DeliveryDetail(Delivery):
    """One callback that is owed, with its payload and all attempts."""

    model_config = NO_EXAMPLE

    payload: Callback | None = Field(description="What is sent; null when it is no longer kept")
    attempt_log: list[DeliveryAttempt]
