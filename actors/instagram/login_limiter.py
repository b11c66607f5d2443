"""How often an account may log in with its password before a person is asked, and with what code.

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

from actors.instagram.errors import Outcome, classify
from actors.instagram.options import AccountOptions
from service.accounts.session_store import SessionStoreError
from service.accounts.verification_codes import VerificationCodes

DAY_SECONDS: Final = 24 * 3600
#: A first login that goes on failing is no login: a job tries it again a few times at most.
MAX_FIRST_LOGINS: Final = 5
#: After the first, one automatic login a day, and one more where a crash cut that one short.
MAX_RELOGINS: Final = 1
MAX_INTERRUPTED: Final = 1

#: Ends of a login at which Instagram did not judge the code that came with it.
_ELSEWHERE: Final = frozenset({Outcome.FIX_PROXY, Outcome.BACK_OFF})
_UNJUDGED: Final = frozenset(
    {
        *("connection_failed", "timed_out", "reply_incomplete", "server_error"),
        *("login_preflight_failed", "interrupted"),
    }
)


class LoginLimiter:
    """Counts password logins per account over all workers; a resume by a person begins anew.

    Only who holds the account's turn logs in, so that nobody counts at the same time.

    Parameters:
      client: The event loop's Redis client.
      codes: What people left for logins.
    """

    def __init__(self, client: Redis, codes: VerificationCodes) -> None:
        self._client = client
        self._codes = codes

    @asynccontextmanager
    async def __call__(self, account: AccountOptions, first: bool) -> AsyncIterator[str | None]:
        """Allow one more password login, which is counted before it is made.

        Parameters:
          account: Who wants to log in.
          first: Whether it has never logged in.

        Yields:
          The code that a person left for this login; None where there is none.

        Raises:
          aiograpi.exceptions.ReloginAttemptExceeded: A person must act first.
        """
        key = f"hg:logins:{account.name}"
        await self._begin(key, first)
        try:
            async with self._code(account.name) as code:
                yield code
        except asyncio.CancelledError:
            raise  # cut short, as by a crash
        except BaseException:
            await self._end(key)
            raise
        await self._end(key)

    @asynccontextmanager
    async def _code(self, account: str) -> AsyncIterator[str | None]:
        """Take the account's code out, and put it back where nobody looked at it.

        It may have been on its way all the same: then the next login is refused for it, and the
        account held, as it would have been without one.
        """
        taken = await self._codes.take(account)
        try:
            yield taken.code if taken else None
        except BaseException as error:
            if taken is not None and _unjudged(error):
                with suppress(RedisError):  # how the login ended matters more
                    await self._codes.put_back(account, taken)
            raise

    async def _begin(self, key: str, first: bool) -> None:
        known = await cast("Awaitable[dict[bytes, bytes]]", self._client.hgetall(key))
        cuts = min(int(known.get(b"cut", 0)) + (b"open" in known), MAX_INTERRUPTED)
        field = "first" if first else "again"
        most = MAX_FIRST_LOGINS if first else MAX_RELOGINS + cuts
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


def _unjudged(error: BaseException) -> bool:
    if isinstance(error, (RedisError, SessionStoreError)):
        return True  # the session could not be saved, without which no password is sent
    verdict = classify(error, writing=False)
    return verdict.outcome in _ELSEWHERE or verdict.code in _UNJUDGED
