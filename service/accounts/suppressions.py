"""The suppression list: recipients that accounts must not write to.

Entries are added through the API, or by a worker when a recipient refuses messages.

Keys, changed together:
  `hg:suppressed`    hash: `{scope}:{key}` -> JSON {"reason", "since" (ms), "by"}; the scope is `*`
                     for every account or an account's name, the key a username in lower case
                     without `@`, `pk:DIGITS`, or `#` and the person's key (person_keys.py) for
                     one whose data was erased
  `hg:suppressions`  zset of the same fields, all with score 0: the order of pages
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, Final, cast

import redis.asyncio as aredis

from service.instagram.ids import person_name
from service.jobs.audit_log import CLI, KEY, Requester, audit_entry
from service.jobs.person_keys import PersonKeys
from service.time_formats.timestamps import rfc3339

_ENTRIES: Final = "hg:suppressed"
_ORDER: Final = "hg:suppressions"
_ALL_ACCOUNTS: Final = "*"
_ERASED: Final = "#"
_REMOVE_SCRIPT: Final = files(__package__).joinpath("remove_suppression.lua").read_text()
#: `by` of entries that a recipient's own refusal made.
RECIPIENT: Final = "recipient"


def suppression_key(recipient: str) -> str:
    """The key under which a job's recipient is suppressed.

    Parameters:
      recipient: `some.handle`, `314159` (a pk) or `@123` (a username of digits).
    """
    return person_name(recipient)


@dataclass(frozen=True)
class Suppression:
    """One entry of the list.

    Parameters:
      key: From `suppression_key`, or from `erased_key`.
      account: The account that may not write; None for all accounts.
      reason: Why, for people.
      since_ms: When it was added, Unix milliseconds on Redis' clock.
      by: Name of the API key that added it, or RECIPIENT.
    """

    key: str
    account: str | None
    reason: str | None
    since_ms: int
    by: str

    @classmethod
    def of(cls, field: str, value: bytes) -> Suppression:
        """Decode a field of the hash and its value."""
        scope, _, key = field.partition(":")
        account = None if scope == _ALL_ACCOUNTS else scope
        stored = json.loads(value)
        return cls(key, account, stored["reason"], stored["since"], stored["by"])

    @property
    def field(self) -> str:
        """The field of the hash."""
        return _field(self.key, self.account)

    def stored(self) -> str:
        """The value in the hash."""
        return json.dumps({"reason": self.reason, "since": self.since_ms, "by": self.by})

    def public(self) -> dict[str, Any]:
        """The entry as the API returns it; its username is in a form that the API accepts, or null
        once the person's data was erased.
        """
        username = f"@{self.key}" if self.key.isdigit() else self.key
        return {
            "username": None if self.key.startswith(_ERASED) else username,
            "account": self.account,
            "reason": self.reason,
            "since": rfc3339(self.since_ms),
            "by": self.by,
        }


class Suppressions:
    """Reads and changes the suppression list.

    Parameters:
      client: The event loop's Redis client.
      person_keys: Finds the entries of those whose data was erased.
    """

    def __init__(self, client: aredis.Redis, person_keys: PersonKeys) -> None:
        self._client = client
        self._person_keys = person_keys
        self._remove = client.register_script(_REMOVE_SCRIPT)

    async def put(
        self, key: str, *, account: str | None, reason: str | None, by: str, address: str = ""
    ) -> tuple[Suppression, bool]:
        """Add an entry, or change its reason; `since` stays.

        Parameters:
          key: From `suppression_key`.
          account: The account that may not write; None for all accounts.
          reason: Why, for people.
          by: Name of the API key.
          address: Where the request came from, for the audit log.

        Returns:
          The entry, and whether it is new.
        """
        existing = await self.get(key, account=account)
        since_ms = existing.since_ms if existing else await self._now_ms()
        entry = Suppression(key, account, reason, since_ms, by)
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hdel(_ENTRIES, *self._erased_fields(key, account))
            pipe.zrem(_ORDER, *self._erased_fields(key, account))
            pipe.hset(_ENTRIES, entry.field, entry.stored())
            pipe.zadd(_ORDER, {entry.field: 0})
            audited = self._audited("suppress", key, account, Requester(f"api:{by}", address))
            pipe.execute_command("XADD", KEY, "*", *audited)
            await pipe.execute()
        return entry, existing is None

    async def suppress_for_account(
        self, pk: str, username: str | None, account: str, reason: str
    ) -> None:
        """Add a recipient that refuses an account's messages; existing entries stay.

        Parameters:
          pk: The recipient's pk.
          username: The recipient's username in a job's normal form, if known.
          account: The account that may not write.
          reason: Code of the error that Instagram gave.
        """
        since_ms = await self._now_ms()
        keys = [f"pk:{pk}"] if username is None else [f"pk:{pk}", suppression_key(username)]
        async with self._client.pipeline(transaction=True) as pipe:
            for key in keys:
                entry = Suppression(key, account, reason, since_ms, RECIPIENT)
                pipe.hsetnx(_ENTRIES, entry.field, entry.stored())
                pipe.zadd(_ORDER, {entry.field: 0})
            await pipe.execute()

    async def remove(self, key: str, *, account: str | None, requester: Requester = CLI) -> bool:
        """Remove an entry, and return whether there was one.

        Parameters:
          key: From `suppression_key`.
          account: The entry's account; None for the entry for all accounts.
          requester: Who removes it, for the audit log.
        """
        removed = await self._remove(
            keys=[_ENTRIES, _ORDER, KEY],
            args=[
                " ".join([_field(key, account), *self._erased_fields(key, account)]),
                *self._audited("unsuppress", key, account, requester),
            ],
        )
        return bool(removed)

    async def get(self, key: str, *, account: str | None) -> Suppression | None:
        """An entry, None if there is none.

        Parameters:
          key: From `suppression_key`.
          account: The entry's account; None for the entry for all accounts.
        """
        fields = [_field(key, account), *self._erased_fields(key, account)]
        found = await self._entries(fields)
        return replace(found[0], key=key) if found else None

    async def page(
        self, *, cursor: str | None, limit: int
    ) -> tuple[Sequence[Suppression], str | None]:
        """A page of entries: those for all accounts first, then by account, each by key.

        Parameters:
          cursor: From the previous page; None for the first.
          limit: The most entries on the page.

        Returns:
          The entries, and the cursor of the next page (None at the end).
        """
        start = "-" if cursor is None else f"({cursor}"
        members = await self._client.zrange(
            _ORDER,
            cast("int", start),
            cast("int", "+"),
            bylex=True,
            offset=0,
            num=limit + 1,
        )
        fields = [member.decode() for member in cast("list[bytes]", members)]
        has_more, fields = len(fields) > limit, fields[:limit]
        return await self._entries(fields), fields[-1] if has_more else None

    async def _entries(self, fields: Sequence[str]) -> Sequence[Suppression]:
        if not fields:
            return []
        values = await cast(
            "Awaitable[list[bytes | None]]", self._client.hmget(_ENTRIES, list(fields))
        )
        pairs = zip(fields, values, strict=True)
        return [Suppression.of(field, value) for field, value in pairs if value is not None]

    def _erased_fields(self, key: str, account: str | None) -> list[str]:
        """The fields that the entry may have since the person's data was erased."""
        return [_field(_ERASED + person, account) for person in self._person_keys.all_keys(key)]

    def _audited(
        self, decision: str, key: str, account: str | None, requester: Requester
    ) -> list[str]:
        # The person by key, as where data is erased: no name has to be erased from the log.
        why = f"person {self._person_keys.key(key)}"
        return audit_entry(decision, why, requester, account or _ALL_ACCOUNTS)

    async def _now_ms(self) -> int:
        seconds, micros = await self._client.time()
        return seconds * 1000 + micros // 1000


def _field(key: str, account: str | None) -> str:
    return f"{account or _ALL_ACCOUNTS}:{key}"
