"""How often an account may log in with its password before a person is asked."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, cast

from aiograpi.exceptions import ReloginAttemptExceeded
from redis.asyncio import Redis

from actors.instagram.options import AccountOptions

DAY_SECONDS: Final = 24 * 3600
#: A first login that goes on failing is no login: a job tries it again a few times at most.
MOST_FIRST_LOGINS: Final = 5
#: After the first, one automatic login a day.
MOST_RELOGINS: Final = 1


class LoginGate:
    """Counts password logins per account over all workers; a resume by a person begins anew.

    Parameters:
      client: The event loop's Redis client.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def __call__(self, account: AccountOptions, first: bool) -> str | None:
        """Allow one more password login, which is counted before it is made.

        Parameters:
          account: Who wants to log in.
          first: Whether it has never logged in.

        Returns:
          The code that a person left for this login; there is none yet.

        Raises:
          aiograpi.exceptions.ReloginAttemptExceeded: A person must act first.
        """
        key, field = f"hg:logins:{account.name}", "first" if first else "again"
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hincrby(key, field, 1)
            pipe.expire(key, DAY_SECONDS, nx=True)
            counted, _ = await cast("Awaitable[list[int]]", pipe.execute())
        if counted > (MOST_FIRST_LOGINS if first else MOST_RELOGINS):
            raise ReloginAttemptExceeded("this account logged in too often today")
        return None
