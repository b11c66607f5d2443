"""Which pk a username had when it was last looked up, so that a recipient is resolved once."""

from __future__ import annotations

from typing import Final

import redis.asyncio as aredis

#: A username can pass to somebody else: it is not trusted for longer than this.
KNOWN_SECONDS: Final = 24 * 3600


class UserIdCache:
    """Remembers pks by username.

    Parameters:
      client: The event loop's Redis client.
    """

    def __init__(self, client: aredis.Redis) -> None:
        self._client = client

    async def pk(self, username: str) -> str | None:
        """The pk of a username looked up lately; None when it was not."""
        known = await self._client.get(f"hg:pk:{username}")
        return None if known is None else bytes(known).decode()  # type: ignore[arg-type]

    async def remember(self, username: str, pk: str) -> None:
        """Note a look-up.

        Parameters:
          username: In its normal form.
          pk: Whose it was.
        """
        await self._client.set(f"hg:pk:{username}", pk, ex=KNOWN_SECONDS)
