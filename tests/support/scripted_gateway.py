"""A gateway whose Instagram is a script: what each call does, and what has arrived."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from actors.instagram.error_policies import ErrorPolicy, Outcome
from actors.instagram.errors import ClassifiedError
from actors.instagram.gateway import ResolvedRecipient
from actors.instagram.options import UnknownAccount
from actors.instagram.receipts import DmReceipt

PK = "314159"


def error(code: str, outcome: Outcome = Outcome.RETRY, **policy: Any) -> ClassifiedError:
    """An error with a policy of its own."""
    return ClassifiedError(ErrorPolicy(outcome, code, "A message.", **policy))


def lost_reply() -> ClassifiedError:
    """After a write: it may have arrived."""
    return error("timed_out", ambiguous=True)


@dataclass
class ScriptedGateway:
    """One account's gateway, for DMs and lookups.

    Parameters:
      logins: What each login raises, oldest first; then they succeed.
      sends: What each DM raises after it was sent; then they succeed.
      arrives: Whether Instagram stores a DM that it is sent.
      searches: What each search for a DM raises; then they tell what has arrived.
      reads: What each profile raises; then they succeed.
      during: Called while a DM is being sent.
    """

    logins: list[Exception] = field(default_factory=list)
    sends: list[Exception] = field(default_factory=list)
    arrives: bool = True
    searches: list[Exception] = field(default_factory=list)
    reads: list[Exception] = field(default_factory=list)
    during: Callable[[], Any] | None = None
    sent: list[str] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)

    @contextmanager
    def acquire(self, _name: str) -> Iterator[ScriptedGateway]:
        """Lend this gateway, as a pool that knows every account."""
        yield self

    async def ensure_login(self) -> None:
        """Log in."""
        _raise_next(self.logins)

    def take_reads(self) -> int:
        """None are counted."""
        return 0

    async def resolve(self, to: str) -> ResolvedRecipient:
        """Everybody exists."""
        return ResolvedRecipient(PK, to)

    async def has_thread(self, _pk: str) -> bool:
        """Everybody has written before."""
        return True

    async def profile(self, name: str) -> dict[str, Any]:
        """A user with nothing but a name."""
        _raise_next(self.reads)
        return {"pk": PK, "username": name}

    async def send_dm(self, _pk: str, _text: str, token: str) -> DmReceipt:
        """Send a DM."""
        self.sent.append(token)
        if self.arrives:
            self.stored.append(token)
        if self.during is not None:
            await self.during()
        _raise_next(self.sends)
        return DmReceipt(f"message-{len(self.stored)}", "thread", token)

    async def find_dm(self, _pk: str, token: str, *_: Any) -> DmReceipt | None:
        """Tell whether the DM has arrived."""
        _raise_next(self.searches)
        return DmReceipt("message", "thread", token) if token in self.stored else None


class NoAccounts:
    """The pool of a worker whose configuration names no account."""

    def acquire(self, name: str) -> Any:
        """Refuse."""
        raise UnknownAccount(name)


def _raise_next(errors: list[Exception]) -> None:
    if errors:
        raise errors.pop(0)
