"""Numbers as they are answered."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final

from pydantic import Field

from service.api.models.answer import Answer, Time, example, sometimes
from service.stats.summary import GroupBy

Count = Annotated[int, Field(ge=0)]


class FailedJobs(Answer):
    """DMs and comments that failed."""

    total: Count
    codes: dict[str, Count] = Field(description="How many, by the code of the error")


class Waits(Answer):
    """Estimates, at most twice too long or too short; null where nothing was sent."""

    p50: float | None
    p95: float | None


class ReadJobs(Answer):
    """Lookups and follower exports."""

    succeeded: Count
    failed: Count
    canceled: Count
    expired: Count


class JobNumbers(Answer):
    """How runs of jobs ended; but for `lookups`, those of DMs and comments."""

    sent: Count
    failed: FailedJobs
    canceled: Count
    expired: Count
    uncertain: Count
    dry_run: Count = Field(description="Dry runs, however they ended; counted nowhere else")
    wait_seconds: Waits = Field(description="From acceptance, or `run_at`, until it was sent")
    lookups: ReadJobs


class JobGroup(JobNumbers):
    """The numbers of one rule, account, code or day: the field that `by` names is there."""

    rule: str | None = Field(default=None, description="Null: jobs that no rule has made")
    account: str = sometimes("With `by=account`")
    code: str | None = Field(default=None, description="Null: jobs without an error")
    day: date = sometimes("With `by=day`")


class EndpointNumbers(Answer):
    """How callbacks ended."""

    delivered: Count
    failed: Count = Field(description="Given up after their last attempt")
    retried: Count = Field(description="Attempts that failed and that another follows")


class NamedEndpointNumbers(EndpointNumbers):
    """The same of one callback endpoint."""

    endpoint: str


class CallbackNumbers(EndpointNumbers):
    """How the callbacks of all endpoints ended, and of each."""

    endpoints: list[NamedEndpointNumbers]


_JOBS: Final[dict[str, Any]] = {
    "sent": 12,
    "failed": {"total": 1, "codes": {"user_not_found": 1}},
    "canceled": 0,
    "expired": 0,
    "uncertain": 0,
    "dry_run": 0,
    "wait_seconds": {"p50": 41.0, "p95": 118.4},
    "lookups": {"succeeded": 0, "failed": 0, "canceled": 0, "expired": 0},
}
_CALLBACKS: Final = {"delivered": 13, "failed": 0, "retried": 2}
_EXAMPLE: Final[dict[str, Any]] = {
    "from": "2026-11-23T00:00:00.000Z",
    "to": "2026-11-30T00:00:00.000Z",
    "by": "rule",
    "items": [{"rule": "thank-you", **_JOBS}],
    "total": _JOBS,
    "callbacks": {**_CALLBACKS, "endpoints": [{"endpoint": "crm", **_CALLBACKS}]},
}


class Stats(Answer):
    """The numbers of a period."""

    model_config = example(**_EXAMPLE)

    start: Time = Field(alias="from", description="The hour with which it begins")
    end: Time = Field(alias="to", description="The end of its last hour")
    by: GroupBy
    items: list[JobGroup] = Field(description="In order of their names; of days, every one")
    total: JobNumbers
    callbacks: CallbackNumbers | None = Field(
        description="Null for a key that is bound to accounts: callbacks belong to none"
    )
