"""Lookups as they are answered; profiles and posts are in `service.lookups.schemas`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.api.models.answer import Answer
from service.api.models.errors import ErrorDetail
from service.lookups.schemas import UserView


class PendingView(Answer):
    """A lookup in progress."""

    status: Literal["pending"]
    message: str
    job_id: str = Field(
        description="The lookup's job: follow it at /jobs/{job_id}, also in `Location`"
    )
    retry_after_seconds: int


class UserItem(Answer):
    """One item of a batch lookup."""

    username: str = Field(description="As the request gave it")
    user: UserView | None
    error: ErrorDetail | None = Field(description="Like the error of a single lookup")
    age_seconds: int | None
    warning: str | None = Field(description="`stale`, or why there is no newer copy")


class UserItems(Answer):
    """Several profiles, in the order of the request."""

    items: list[UserItem]
