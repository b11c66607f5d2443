"""Who is not written to: by hand, through the API, or because the recipient does not want it.

Keys, changed together:
  `hg:suppressed`    hash: `{scope}:{who}` -> JSON {"reason", "since" (ms), "by"}; the scope is `*`
                     for every account or an account's name, and who is a username in lower case
                     without `@`, or `pk:DIGITS`
  `hg:suppressions`  zset of the same fields, all of score 0: their order, for pages
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import redis.asyncio as aredis

from service.time_formats.timestamps import rfc3339

_ENTRIES: Final = "hg:suppressed"
_ORDER: Final = "hg:suppressions"
_EVERY_ACCOUNT: Final = "*"
#: Who adds what recipients themselves said.
RECIPIENT: Final = "recipient"


def suppression_key(recipient: str) -> str:
    """The list's form of a job's recipient.

    Parameters:
      recipient: `some.handle`, `314159` (a pk) or `@123` (a username of digits).
    """
    return f"pk:{recipient}" if recipient.isdigit() else recipient.removeprefix("@")


@dataclass(frozen=True)
class Suppression:
    """One entry of the list.

    Parameters:
      who: As `who_is` gives it.
      account: Which account may not write; None for every one.
      reason: Why, for people.
      since_ms: When it was made, by Redis' clock.
      by: Whose API key made it, or RECIPIENT.
    """

    who: str
    account: str | None
    reason: str | None
    since_ms: int
    by: str

    @classmethod
    def of(cls, field: str, value: bytes) -> Suppression:
        """The entry of a field of the hash."""
        scope, _, who = field.partition(":")
        account = None if scope == _EVERY_ACCOUNT else scope
        stored = json.loads(value)
        return cls(who, account, stored["reason"], stored["since"], stored["by"])

    @property
    def field(self) -> str:
        """Its field of the hash."""
        return _field(self.who, self.account)

    def stored(self) -> str:
        """Its value in the hash."""
        return json.dumps({"reason": self.reason, "since": self.since_ms, "by": self.by})

    def public(self) -> dict[str, Any]:
        """The entry as the API shows it; its username is one that the API takes."""
        return {
            "username": f"@{self.who}" if self.who.isdigit() else self.who,
            "account": self.account,
            "reason": self.reason,
            "since": rfc3339(self.since_ms),
            "by": self.by,
        }


class Suppressions:
    """The list.

    Parameters:
      client: The event loop's Redis client.
    """

    def __init__(self, client: aredis.Redis) -> None:
        self._client = client

    async def put(
        self, who: str, *, account: str | None, reason: str | None, by: str
    ) -> tuple[Suppression, bool]:
        """Add somebody, or correct the reason; how long it has been so stays.

        Parameters:
          who: As `who_is` gives it.
          account: Which account may not write; None for every one.
          reason: Why, for people.
          by: The name of the API key.

        Returns:
          The entry, and whether it is new.
        """
        earlier = await self.get(who, account=account)
        since_ms = earlier.since_ms if earlier else await self._now_ms()
        entry = Suppression(who, account, reason, since_ms, by)
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(_ENTRIES, entry.field, entry.stored())
            pipe.zadd(_ORDER, {entry.field: 0})
            added, _ = await cast("Awaitable[list[int]]", pipe.execute())
        return entry, bool(added)

    async def suppress_for_account(
        self, pk: str, username: str | None, account: str, reason: str
    ) -> None:
        """Add a recipient who does not take an account's messages; what is there already stays.

        Parameters:
          pk: The recipient's.
          username: The recipient's, in a job's normal form, where it is known.
          account: Whose messages.
          reason: A verdict's code.
        """
        since_ms = await self._now_ms()
        people = [f"pk:{pk}"] if username is None else [f"pk:{pk}", suppression_key(username)]
        async with self._client.pipeline(transaction=True) as pipe:
            for who in people:
                entry = Suppression(who, account, reason, since_ms, RECIPIENT)
                pipe.hsetnx(_ENTRIES, entry.field, entry.stored())
                pipe.zadd(_ORDER, {entry.field: 0})
            await pipe.execute()

    async def remove(self, who: str, *, account: str | None) -> bool:
        """Take somebody off the list; whether they were on it.

        Parameters:
          who: As `who_is` gives it.
          account: Whose entry; None for the one that is for every account.
        """
        field = _field(who, account)
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hdel(_ENTRIES, field)
            pipe.zrem(_ORDER, field)
            removed, _ = await cast("Awaitable[list[int]]", pipe.execute())
        return bool(removed)

    async def get(self, who: str, *, account: str | None) -> Suppression | None:
        """One entry; None when it is not on the list.

        Parameters:
          who: As `who_is` gives it.
          account: Whose entry; None for the one that is for every account.
        """
        field = _field(who, account)
        value = await cast("Awaitable[bytes | None]", self._client.hget(_ENTRIES, field))
        return None if value is None else Suppression.of(field, value)

    async def page(
        self, *, cursor: str | None, limit: int
    ) -> tuple[Sequence[Suppression], str | None]:
        """A page of the list: first what is for every account, then by account, each by name.

        Parameters:
          cursor: Where the last page ended; None for the first.
          limit: The most on the page.

        Returns:
          The entries, and the next page's cursor (None at the end).
        """
        after = "-" if cursor is None else f"({cursor}"
        found = await self._client.zrange(
            _ORDER,
            cast("int", after),
            cast("int", "+"),
            bylex=True,
            offset=0,
            num=limit + 1,
        )
        fields = [member.decode() for member in cast("list[bytes]", found)]
        more, fields = len(fields) > limit, fields[:limit]
        return await self._entries(fields), fields[-1] if more else None

    async def _entries(self, fields: Sequence[str]) -> Sequence[Suppression]:
        if not fields:
            return []
        values = await cast(
            "Awaitable[list[bytes | None]]", self._client.hmget(_ENTRIES, list(fields))
        )
        pairs = zip(fields, values, strict=True)
        return [Suppression.of(field, value) for field, value in pairs if value is not None]

    async def _now_ms(self) -> int:
        seconds, micros = await self._client.time()
        return seconds * 1000 + micros // 1000


def _field(who: str, account: str | None) -> str:
    return f"{account or _EVERY_ACCOUNT}:{who}"
