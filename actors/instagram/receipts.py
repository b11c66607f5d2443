"""What is left of a write that Instagram has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DmReceipt:
    """A DM that Instagram has.

    Parameters:
      message_id: Instagram's id of the message.
      thread_id: Instagram's id of its thread; None when the reply did not tell.
      client_context: The token it was sent with.
      by_token: Whether that is how it is known to be ours; otherwise by its text and time.
    """

    message_id: str
    thread_id: str | None
    client_context: str
    by_token: bool = True


@dataclass(frozen=True)
class CommentReceipt:
    """A comment that Instagram has.

    Parameters:
      comment_id: Instagram's id of the comment.
    """

    comment_id: str
