"""Receipts: ids of writes that Instagram has stored."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DmReceipt:
    """A DM that Instagram has stored.

    Parameters:
      message_id: Instagram's id of the message.
      thread_id: Instagram's id of its thread; None when the reply did not say.
      client_context: The token it was sent with.
      by_token: Whether it was matched by that token; otherwise by text and time.
    """

    message_id: str
    thread_id: str | None
    client_context: str
    by_token: bool = True


@dataclass(frozen=True)
class CommentReceipt:
    """A comment that Instagram has stored."""

    comment_id: str
