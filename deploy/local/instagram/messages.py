"""Direct message threads and their messages."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from deploy.local.instagram.clock import Clock
from deploy.local.instagram.records import DmRecord
from deploy.local.instagram.users import User

# Ids as long as Instagram's own, which exceed 64 bits.
_FIRST_THREAD_ID = 340282366841710300949128000000000000000
_FIRST_THREAD_V2_ID = 17900000000000000
_FIRST_ITEM_ID = 31000000000000000000000000000000000


@dataclass(frozen=True)
class Draft:
    """A message to be stored.

    Parameters:
        kind: `text`, `link` or `photo`.
        text: as stored.
        sent_text: as sent.
        client_context: the sender's token, returned with the message.
    """

    kind: str
    text: str
    sent_text: str
    client_context: str
    links: tuple[str, ...] = ()
    attachment_id: str | None = None


@dataclass(frozen=True)
class Message:
    """A stored message; `true_us`, by this machine's clock, increases over all messages."""

    item_id: int
    thread_id: int
    sender: User
    draft: Draft
    true_us: int
    clock: Clock

    @property
    def timestamp_us(self) -> int:
        """When it was stored, by Instagram's clock, in microseconds of Unix time."""
        return self.true_us + round(self.clock.shown(0) * 1_000_000)


@dataclass(eq=False)
class Thread:
    """A thread; its messages are in the order they were stored.

    Parameters:
        pending_for: the pks of members who have not accepted its request yet.
    """

    number: int
    members: tuple[User, ...]
    inviter: User
    pending_for: set[int] = field(default_factory=set)
    messages: list[Message] = field(default_factory=list)

    @property
    def id(self) -> int:
        """Instagram's `thread_id`."""
        return _FIRST_THREAD_ID + self.number

    @property
    def v2_id(self) -> int:
        """Instagram's `thread_v2_id`, which identifies the thread as well."""
        return _FIRST_THREAD_V2_ID + self.number

    def others(self, viewer: User) -> list[User]:
        """The members except the viewer."""
        return [user for user in self.members if user.pk != viewer.pk]


class Messages:
    """Every thread and every message.

    Parameters:
        clock: dates the messages.
        dedupe: whether a message with a `client_context` that its sender has used is not stored.
    """

    def __init__(self, clock: Clock, *, dedupe: bool) -> None:
        self._clock = clock
        self._dedupe = dedupe
        self._by_members: dict[tuple[int, ...], Thread] = {}
        self._by_id: dict[int, Thread] = {}
        self._by_token: dict[tuple[int, str], Message] = {}
        self._last_us = 0
        self.messages: list[Message] = []

    def thread(self, thread_id: int) -> Thread | None:
        """The thread with this id, of either kind."""
        return self._by_id.get(thread_id)

    def between(self, members: list[User]) -> Thread | None:
        """The thread of exactly these users."""
        return self._by_members.get(_members_key(members))

    def open_between(
        self, inviter: User, others: list[User], pending_for: set[int] | None = None
    ) -> Thread:
        """The thread of these users, created if missing, then as a request to `pending_for`."""
        members = [inviter, *others]
        thread = self.between(members)
        if thread is None:
            number = len(self._by_members) + 1
            thread = Thread(number, tuple(members), inviter, pending_for or set())
            self._by_members[_members_key(members)] = thread
            self._by_id[thread.id] = self._by_id[thread.v2_id] = thread
        return thread

    def threads_of(self, viewer: User, *, pending: bool = False) -> list[Thread]:
        """The viewer's threads, or message requests to it, most recently active first."""
        own = [
            thread
            for thread in self._by_members.values()
            if viewer in thread.members and (viewer.pk in thread.pending_for) is pending
        ]
        return sorted(own, key=last_activity_us, reverse=True)

    def store(self, sender: User, thread: Thread, draft: Draft) -> Message:
        """Store a message; with dedupe, return the one already stored with its token."""
        token = (sender.pk, draft.client_context)
        if self._dedupe and token in self._by_token:
            return self._by_token[token]
        self._last_us = max(self._last_us + 1, time.time_ns() // 1000)
        item_id = _FIRST_ITEM_ID + len(self.messages) + 1
        message = Message(item_id, thread.id, sender, draft, self._last_us, self._clock)
        thread.messages.append(message)
        self.messages.append(message)
        self._by_token[token] = message
        return message

    def records(self) -> list[DmRecord]:
        """Every message, as the control interface shows it."""
        return [self._record(message) for message in self.messages]

    def _record(self, message: Message) -> DmRecord:
        thread = self._by_id[message.thread_id]
        recipients = thread.others(message.sender)
        return {
            "item_id": str(message.item_id),
            "thread_id": str(message.thread_id),
            "kind": message.draft.kind,
            "sender": message.sender.username,
            "sender_pk": str(message.sender.pk),
            "recipient_pks": [str(user.pk) for user in recipients],
            "recipients": [user.username for user in recipients],
            "text": message.draft.text,
            "sent_text": message.draft.sent_text,
            "pending": any(user.pk in thread.pending_for for user in recipients),
            "client_context": message.draft.client_context,
            "attachment_id": message.draft.attachment_id,
            "stored_at": message.timestamp_us / 1_000_000,
        }


def last_activity_us(thread: Thread) -> int:
    """When the thread's last message was stored, in microseconds of Unix time."""
    return thread.messages[-1].timestamp_us if thread.messages else 0


def _members_key(members: list[User]) -> tuple[int, ...]:
    return tuple(sorted({user.pk for user in members}))
