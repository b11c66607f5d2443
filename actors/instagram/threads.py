"""The account's thread with a user and its messages, read raw (see `write_verification`)."""

from __future__ import annotations

from typing import Any, Final, Protocol

from actors.instagram.reply_fields import mapping, text
from actors.instagram.stored_rows import Row

_PAGE_SIZE: Final = 20


class PrivateApi(Protocol):
    """The part of the client used here."""

    last_response: Any

    async def private_request(self, endpoint: str, **kwargs: Any) -> Any:
        """Send one request and return the decoded reply."""


async def find_thread_id(api: PrivateApi, pk: str) -> str | None:
    """The id of the account's thread with a user; None when there is none.

    Raises:
      LookupError: There is a thread, but the reply does not show its id.
    """
    thread = await get_thread(api, pk)
    return thread_id_of(thread) if thread else None


def thread_id_of(thread: Row, *fields: str) -> str:
    """A thread's id.

    Parameters:
      thread: Instagram's thread object.
      fields: The fields that may have it, in order; by default both that threads have.

    Raises:
      LookupError: None of them does. Then nothing can be said about the thread's messages.
    """
    ids = (text(thread.get(name) or "") for name in fields or ("thread_id", "thread_v2_id"))
    if found := next(filter(None, ids), ""):
        return found
    raise LookupError("a thread without an id")


async def get_thread(api: PrivateApi, pk: str) -> Row:
    """Read Instagram's object of the account's thread with a user; empty when there is none.

    Raises:
      LookupError: The reply has something else for a thread.
    """
    reply = await api.private_request(
        "direct_v2/threads/get_by_participants/",
        params={"recipient_users": f"[{pk}]", "seq_id": 2580572, "limit": _PAGE_SIZE},
    )
    thread = reply.get("thread")
    if thread and not mapping(thread):
        raise LookupError("a thread that is not an object")
    # Some replies are the thread's object itself.
    is_thread = reply.get("thread_id") or reply.get("thread_v2_id")
    # Without a thread, the least that Instagram says is that all is well.
    if not (is_thread or "thread" in reply or "users" in reply or reply.get("status") == "ok"):
        raise LookupError("a reply that is not about threads")
    return mapping(thread) or (mapping(reply) if is_thread else {})


async def thread_page(api: PrivateApi, thread_id: str, cursor: str | None) -> Row:
    """Read a page of a thread's messages, newest first; `cursor` is None for the first."""
    params = {
        "visual_message_return_type": "unseen",
        "direction": "older",
        "seq_id": "40065",
        "limit": str(_PAGE_SIZE),
    } | ({"cursor": cursor} if cursor else {})
    reply = await api.private_request(f"direct_v2/threads/{thread_id}/", params=params)
    thread: Row = reply["thread"]
    return thread
