"""What callbacks tell: the body of a POST to a callback endpoint."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from service.api.models.answer import JOB_ID, Answer, Time, example, sometimes
from service.api.models.job_parts import JobError, JobSource
from service.api.models.job_results import JobResult
from service.jobs.model import Kind


class JobCallbackData(Answer):
    """The job that has ended."""

    job_id: str
    kind: Kind
    status: Literal["succeeded", "failed", "canceled", "expired", "uncertain"]
    attempts: int
    result: JobResult | None
    result_url: str = sometimes("Where the result is, if it is too long for a callback")
    error: JobError | None
    metadata: dict[str, Any] | None = Field(description="The caller's own")
    source: JobSource


class JobCallback(Answer):
    """A job has ended."""

    model_config = example(
        type="job.succeeded",
        timestamp="2026-11-20T10:26:50.441Z",
        data={
            "job_id": JOB_ID,
            "kind": "comment",
            "status": "succeeded",
            "attempts": 1,
            "result": {"comment_id": "18000000000000001"},
            "error": None,
            "metadata": {"order": 1042},
            "source": {"source": None, "event_id": None, "rule": None, "api_key": "crm"},
        },
    )

    type: Literal["job.succeeded", "job.failed", "job.canceled", "job.expired", "job.uncertain"]
    timestamp: Time
    data: JobCallbackData


class SaidOfHold(Answer):
    """What Instagram said of a hold, as far as it is safe (see `HoldDetails`)."""

    at: Literal["login", "call"]
    kind: str = sometimes("The kind of challenge")
    step: str = sometimes("The challenge's step")
    sent_to: str = sometimes("Where a code was sent, as Instagram masks it")
    url: str = sometimes("The challenge's page")


class AccountCallbackData(Answer):
    """The account that needs a person, or no longer does."""

    account: str
    reason: str = Field(description="Why it is held, or what it was held for")
    message: str = sometimes("What has happened and what to do; of a hold for an error")
    remedy: str = sometimes("What to do, with the requests to send; of the same")
    accepts_code: bool = sometimes("Whether a verification code can end it; of the same")
    job_id: str = sometimes("The job that met it; of the same")
    instagram: SaidOfHold = sometimes("What Instagram said, if it said anything; of the same")


class AccountCallback(Answer):
    """An account was held or resumed."""

    model_config = example(
        type="account.held",
        timestamp="2026-11-20T13:39:12.920Z",
        data={
            "account": "shop",
            "reason": "challenge_required",
            "message": "Instagram asks for a verification code: POST /accounts/shop/challenge.",
        },
    )

    type: Literal["account.held", "account.resumed"]
    timestamp: Time
    data: AccountCallbackData


Callback = JobCallback | AccountCallback
