"""A gateway whose Instagram is a script: what each call does, and what has arrived.

`tests/actors/jobs/test_scripted_gateway.py` holds it to the real gateway: the same calls give the
same results, and what it raises means the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

from actors.instagram import error_policies as policies
from actors.instagram.error_policies import ErrorPolicy
from actors.instagram.errors import ClassifiedError
from actors.instagram.gateway import ResolvedRecipient
from actors.instagram.idempotency_tokens import client_context_for
from actors.instagram.options import UnknownAccount
from actors.instagram.receipts import DmReceipt

PK = "314159"

#: What Instagram's refusals mean, by their names at the fake Instagram.
REFUSALS: Final[Mapping[str, ErrorPolicy]] = {
    "unauthorized": policies.UNAUTHORIZED,
    "user_not_found": policies.USER_NOT_FOUND,
    "challenge_required": policies.CHALLENGE_REQUIRED,
    "throttled": policies.RATE_LIMITED,
    "unknown": policies.REFUSED,
    "dm_requests_disabled": policies.REQUESTS_DISABLED,
    "dm_not_everyone": policies.MESSAGES_REFUSED,
}


def refusal(name: str) -> ClassifiedError:
    """A refusal by Instagram, as the fake Instagram names it."""
    return ClassifiedError(REFUSALS[name])


def lost_reply() -> ClassifiedError:
    """No reply in time: a write may have arrived."""
    return ClassifiedError(policies.TIMED_OUT)


def no_connection() -> ClassifiedError:
    """No connection was made: nothing has arrived."""
    return ClassifiedError(replace(policies.CONNECTION_FAILED, ambiguous=False))


def proxy_refused() -> ClassifiedError:
    """The proxy did not accept the password: nothing has arrived."""
    return ClassifiedError(policies.PROXY_AUTH_REQUIRED)


@dataclass
class ScriptedGateway:
    """One account's gateway, for DMs and lookups.

    Parameters:
      logins: What each login raises, oldest first; then they succeed.
      sends: What each DM raises after it was sent; then they succeed.
      arrives: Whether Instagram stores a DM that it is sent.
      searches: What each search for a DM raises; then they tell what has arrived.
      finds: What each search finds in place of what has arrived.
      reads: What each profile, recipient and thread raises; then they succeed.
      during: Called while a DM is being sent.
    """

    logins: list[Exception] = field(default_factory=list)
    sends: list[Exception] = field(default_factory=list)
    arrives: bool = True
    searches: list[Exception] = field(default_factory=list)
    finds: list[DmReceipt] = field(default_factory=list)
    reads: list[Exception] = field(default_factory=list)
    during: Callable[[], Any] | None = None
    sent: list[str] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    #: How old each search was told that the write is.
    ages_ms: list[int] = field(default_factory=list)
    #: Reads since they were taken last.
    requested: int = 0

    @contextmanager
    def acquire(self, _name: str) -> Iterator[ScriptedGateway]:
        """Lend this gateway, as a pool that knows every account."""
        yield self

    async def ensure_login(self) -> None:
        """Log in."""
        _raise_next(self.logins)

    def take_reads(self) -> int:
        """Return and reset the number of reads."""
        requested, self.requested = self.requested, 0
        return requested

    async def resolve(self, to: str) -> ResolvedRecipient:
        """Everybody exists."""
        self.requested += 1
        _raise_next(self.reads)
        return ResolvedRecipient(PK, to)

    async def has_thread(self, _pk: str) -> bool:
        """A thread begins with its first message."""
        self.requested += 1
        _raise_next(self.reads)
        return bool(self.stored)

    async def profile(self, name: str) -> dict[str, Any]:
        """A user with nothing but a name."""
        self.requested += 1
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
        return self._receipt(token)

    async def find_dm(
        self, _pk: str, token: str, _text: str | None, age_ms: int, *_: Any
    ) -> DmReceipt | None:
        """Tell whether the DM has arrived."""
        self.ages_ms.append(age_ms)
        self.requested += 1 + bool(self.stored)  # the thread, and its messages if there is one
        _raise_next(self.searches)
        if self.finds:
            return self.finds.pop(0)
        arrived = client_context_for(token) in map(client_context_for, self.stored)
        return self._receipt(token) if arrived else None

    def _receipt(self, token: str) -> DmReceipt:
        context = client_context_for(token)
        return DmReceipt(f"message-{context}", "thread", context)


class NoAccounts:
    """The pool of a worker whose configuration names no account."""

    def acquire(self, name: str) -> Any:
        """Refuse."""
        raise UnknownAccount(name)


def _raise_next(errors: list[Exception]) -> None:
    if errors:
        raise errors.pop(0)
