"""The body of every error."""

from __future__ import annotations

from pydantic import Field

from service.api.models.answer import Answer, Time, sometimes
from service.credentials.api_keys import KeyScope


class FieldError(Answer):
    """What is wrong with one field."""

    field: str = Field(description="Its name, with dots between the names of nested ones")
    message: str


class ErrorDetail(Answer):
    """What is wrong. `code` says which of the further fields it has."""

    code: str = Field(description="A stable code for programs", examples=["invalid_request"])
    message: str = Field(description="What is wrong and what to do about it, for people")
    fields: list[FieldError] = sometimes("`invalid_request`: each field that is wrong")
    scope: KeyScope = sometimes("`forbidden`: the scope that the key would need")
    reason: str = sometimes("Lookups: what Instagram said, or which limit was reached")
    retry_after_seconds: int = sometimes("Lookups: as `Retry-After`")
    until: Time = sometimes("`rate_limited`: when a lookup is possible again")
    since: Time | None = Field(default=None, description="`account_held`: since when")
    job_id: str = sometimes(
        "`idempotency_conflict`: the job of the first request; `pending`: the lookup"
    )
    sources: list[str] = sometimes("`ambiguous_event`: the sources that have it")
    traits: list[str] = sometimes("`device_changed`: what differs")
    jobs: list[str] = sometimes("`person_busy`: the jobs that have to end first")
    erased: dict[str, int] = sometimes("`person_busy`: what was erased, as in a 200")
    other_ids: list[str] = sometimes("`person_busy`: as in a 200")
    done: bool = sometimes("`person_busy`: false")


class ErrorBody(Answer):
    """The body of every error response."""

    error: ErrorDetail
