"""Suppressions as they are answered."""

from __future__ import annotations

from pydantic import Field

from service.api.models.answer import Answer, Page, Time, example


class SuppressionEntry(Answer):
    """A recipient that must not be written to."""

    model_config = example(
        username="some.handle",
        account=None,
        reason="asked by mail",
        since="2026-11-20T10:26:48.509Z",
        by="crm",
    )

    username: str | None = Field(
        description="A username, or `pk:` and a user id; null once the person's data was erased"
    )
    account: str | None = Field(description="The account that must not write; null for all")
    reason: str | None
    since: Time
    by: str = Field(description="The name of the caller's key, or `recipient`")


class SuppressionPage(Page):
    """Suppressions: first those of all accounts, then those of each account."""

    items: list[SuppressionEntry]
