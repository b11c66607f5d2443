"""Refusals in a row of one account, which a single job cannot explain.

Keys `hg:streak:{account}:{name}`, sets of what was refused since the last success; they expire a
day after the last refusal. `lib/streaks.lua` ends them where a job succeeds, and
`control_account.lua` where a person resumes the account. `hg:known:{username}` exists for a while
after a username was found.
"""

from __future__ import annotations

from typing import Final, Literal, cast

import redis.asyncio as aredis

#: `unauthorized` has ids of jobs, `not_found` names of targets that were known before.
StreakName = Literal["unauthorized", "not_found"]

STREAK_TTL_SECONDS: Final = 24 * 3600
#: As long as the copies of lookups are kept.
KNOWN_TTL_SECONDS: Final = 7 * 24 * 3600


def streak_key(account: str, name: StreakName) -> str:
    """The key of a streak."""
    return f"hg:streak:{account}:{name}"


def known_key(username: str) -> str:
    """The key that exists while a username in its normal form is known."""
    return f"hg:known:{username}"


class RefusalStreaks:
    """Counts refusals in a row.

    Parameters:
      client: The event loop's Redis client.
    """

    def __init__(self, client: aredis.Redis) -> None:
        self._client = client

    async def add(self, account: str, name: StreakName, refused: str) -> int:
        """Add a refusal; return how many different ones have come in a row."""
        key = streak_key(account, name)
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.sadd(key, refused)
            pipe.expire(key, STREAK_TTL_SECONDS)
            pipe.scard(key)
            *_, count = await pipe.execute()
        return int(count)

    async def is_known(self, target: str, username: str | None = None) -> bool:
        """Whether a target was found before: its copy is kept, or a job has found its username.

        Parameters:
          target: `user:{name}` or `post:{pk}`, as lookups name it.
          username: As jobs name the recipient; None to ask only for the copy.
        """
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.hexists(f"hg:found:{target}", "body")
            if username:
                pipe.exists(known_key(username), f"hg:pk:{username}")
            return any(cast("list[int]", await pipe.execute()))
