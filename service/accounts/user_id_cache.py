"""Caches the pk of usernames, so that a recipient is not looked up for every message."""

from __future__ import annotations

from typing import Final

import redis.asyncio as aredis

from service.accounts.refusal_streaks import KNOWN_TTL_SECONDS, known_key, streak_key

#: A username can change hands, so an entry is not trusted for longer.
TTL_SECONDS: Final = 24 * 3600


class UserIdCache:
    """Maps usernames to pks.

    Parameters:
      client: The event loop's Redis client.
    """

    def __init__(self, client: aredis.Redis) -> None:
        self._client = client

    async def pk(self, username: str) -> str | None:
        """The pk of a username in its normal form; None if it is not cached."""
        cached = await self._client.get(f"hg:pk:{username}")
        return None if cached is None else bytes(cached).decode()  # type: ignore[arg-type]

    async def remember(self, username: str, pk: str, *, account: str) -> None:
        """Cache the pk of a username in its normal form.

        Parameters:
          account: Who found it, so that its streak of names not found ends.
        """
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.set(f"hg:pk:{username}", pk, ex=TTL_SECONDS)
            pipe.set(known_key(username), b"", ex=KNOWN_TTL_SECONDS)
            pipe.delete(streak_key(account, "not_found"))
            await pipe.execute()
