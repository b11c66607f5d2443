"""How often an account may log in with its password before a person is asked.

Key `hg:logins:{account}`, a hash that lives a day from its first login: `first` and `again` count
logins begun, `cut` those that a crash cut short, `open` is there while one goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import Final, cast

from aiograpi.exceptions import ReloginAttemptExceeded
from redis.asyncio import Redis
from redis.exceptions import RedisError

from actors.instagram.options import AccountOptions

DAY_SECONDS: Final = 24 * 3600
#: A first login that goes on failing is no login: a job tries it again a few times at most.
MOST_FIRST_LOGINS: Final = 5
#: After the first, one automatic login a day, and one more where a crash cut that one short.
MOST_RELOGINS: Final = 1
MOST_CUTS: Final = 1


class LoginGate:
    """Counts password logins per account over all workers; a resume by a person begins anew.

    Only who holds the account's turn logs in, so that nobody counts at the same time.

    Parameters:
      client: The event loop's Redis client.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client

    @asynccontextmanager
    async def __call__(self, account: AccountOptions, first: bool) -> AsyncIterator[str | None]:
        """Allow one more password login, which is counted before it is made.

        Parameters:
          account: Who wants to log in.
          first: Whether it has never logged in.

        Yields:
          The code that a person left for this login; there is none yet.

        Raises:
          aiograpi.exceptions.ReloginAttemptExceeded: A person must act first.
        """
        key = f"hg:logins:{account.name}"
        await self._begin(key, first)
        try:
            yield None
        except asyncio.CancelledError:
            raise  # cut short, as by a crash
        except BaseException:
            await self._end(key)
            raise
        await self._end(key)

    async def _begin(self, key: str, first: bool) -> None:
        known = await cast("Awaitable[dict[bytes, bytes]]", self._client.hgetall(key))
        cuts = min(int(known.get(b"cut", 0)) + (b"open" in known), MOST_CUTS)
        field = "first" if first else "again"
        most = MOST_FIRST_LOGINS if first else MOST_RELOGINS + cuts
        if int(known.get(field.encode(), 0)) >= most:
            raise ReloginAttemptExceeded("this account logged in too often today")
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hincrby(key, field, 1)
            pipe.hset(key, mapping={"cut": cuts, "open": 1})
            pipe.expire(key, DAY_SECONDS, nx=True)
            await pipe.execute()

    async def _end(self, key: str) -> None:
        # Where this cannot be said, one login more is allowed: how this one ended matters more.
        with suppress(RedisError):
            await self._client.hdel(key, "open")
