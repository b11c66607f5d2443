"""Rows of follower exports as they are answered."""

from __future__ import annotations

from service.api.models.answer import Answer, Page


class FollowerRow(Answer):
    """A follower, or a user who is followed; all empty once the person's data was erased."""

    pk: str
    username: str
    full_name: str
    is_private: bool
    is_verified: bool


class FollowerRowPage(Page):
    """Rows in the order in which Instagram lists them."""

    items: list[FollowerRow]
