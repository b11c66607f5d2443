"""Caches the pk of usernames, so that a recipient is not looked up for every message."""

from __future__ import annotations

from typing import Final

import redis.asyncio as aredis

from service.accounts.refusal_streaks import KNOWN_TTL_SECONDS, known_key, streak_key
from service.instagram.ids import person_name
from service.jobs.person_keys import PersonKeys, traces_key

#: A username can change hands, so an entry is not trusted for longer.
TTL_SECONDS: Final = 24 * 3600


class UserIdCache:
    """Maps usernames to pks.

    Parameters:
      client: The event loop's Redis client.
      person_keys: By them, what is cached about a person is found.
    """

    def __init__(self, client: aredis.Redis, person_keys: PersonKeys) -> None:
        self._client = client
        self._person_keys = person_keys

    async def pk(self, username: str) -> str | None:
        """The pk of a username in its normal form; None if it is not cached."""
        cached = await self._client.get(f"hg:pk:{username}")
        return None if cached is None else bytes(cached).decode()  # type: ignore[arg-type]

    async def remember(
        self, username: str, pk: str, shown: str | None = None, *, account: str
    ) -> None:
        """Cache the pk of a username.

        Parameters:
          username: In its normal form, as it was looked up.
          pk: The user's pk.
          shown: The username in Instagram's reply. If it is another one the user was renamed, and
            anybody may take the old name: then the pk is cached under the new one only.
          account: Who found the user: its streak of users not found ends.
        """
        renamed = bool(shown) and str(shown).lower() != username.removeprefix("@")
        key = _normal_form(str(shown)) if renamed else username
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.set(f"hg:pk:{key}", pk, ex=TTL_SECONDS)
            pipe.set(known_key(key), b"", ex=KNOWN_TTL_SECONDS)
            for name in (person_name(key), f"pk:{pk}"):
                traces = traces_key(self._person_keys.key(name))
                pipe.sadd(traces, f"hg:pk:{key}", known_key(key))
                pipe.expire(traces, KNOWN_TTL_SECONDS)
            pipe.delete(streak_key(account, "not_found"))
            await pipe.execute()


def _normal_form(username: str) -> str:
    return f"@{username}" if username.isdigit() else username.lower()
