"""Limits an account's password logins per day and hands out verification codes.

Key `hg:logins:{account}`, a hash that expires one day after its first login: `first` and `again`
count logins started, `cut` those interrupted by a crash; `open` exists while a login is under way.
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
#: Attempts at an account's first login, which jobs retry when it fails.
MAX_FIRST_LOGINS: Final = 5
#: After the first login, one automatic login a day, plus one if a crash interrupted it.
MAX_RELOGINS: Final = 1
MAX_INTERRUPTED: Final = 1

#: Outcomes and codes of logins in which Instagram did not check the verification code.
_CODE_NOT_READ_OUTCOMES: Final = frozenset({Outcome.FIX_PROXY, Outcome.COOL_DOWN})
_CODE_NOT_READ_CODES: Final = frozenset(
    {
        *("connection_failed", "timed_out", "reply_incomplete", "server_error"),
        *("login_preflight_failed", "interrupted"),
    }
)


class LoginLimiter:
    """Counts password logins per account across all workers; a resume resets the count.

    Only the holder of the account's turn logs in, so counts do not race.

    Parameters:
      client: The event loop's Redis client.
      codes: Verification codes that people supplied.
    """

    def __init__(self, client: Redis, codes: VerificationCodes) -> None:
        self._client = client
        self._codes = codes

    @asynccontextmanager
    async def __call__(self, account: AccountOptions, first: bool) -> AsyncIterator[str | None]:
        """Allow one password login and count it before it is made.

        Parameters:
          account: The account to log in.
          first: Whether the account has never logged in.

        Yields:
          The verification code a person supplied for this login, or None.

        Raises:
          aiograpi.exceptions.ReloginAttemptExceeded: The day's logins are used up; a person must
            resume the account.
        """
        key = f"hg:logins:{account.name}"
        await self._count_login(key, first)
        try:
            async with self._take_code(account.name) as code:
                yield code
        except asyncio.CancelledError:
            raise  # counts as interrupted, like a crash
        except BaseException:
            await self._mark_ended(key)
            raise
        await self._mark_ended(key)

    @asynccontextmanager
    async def _take_code(self, account: str) -> AsyncIterator[str | None]:
        """Take the account's code, and put it back if Instagram did not check it.

        The code may have been sent nevertheless; then the next login is refused because of it and
        the account is held, as it would be without a code.
        """
        taken = await self._codes.take(account)
        try:
            yield taken.code if taken else None
        except BaseException as error:
            if taken is not None and _code_was_not_read(error):
                with suppress(RedisError):  # must not hide the login's own error
                    await self._codes.put_back(account, taken)
            raise

    async def _count_login(self, key: str, first: bool) -> None:
        counts = await cast("Awaitable[dict[bytes, bytes]]", self._client.hgetall(key))
        interrupted = min(int(counts.get(b"cut", 0)) + (b"open" in counts), MAX_INTERRUPTED)
        field = "first" if first else "again"
        limit = MAX_FIRST_LOGINS if first else MAX_RELOGINS + interrupted
        if int(counts.get(field.encode(), 0)) >= limit:
            raise ReloginAttemptExceeded("this account logged in too often today")
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hincrby(key, field, 1)
            pipe.hset(key, mapping={"cut": interrupted, "open": 1})
            pipe.expire(key, DAY_SECONDS, nx=True)
            await pipe.execute()

    async def _mark_ended(self, key: str) -> None:
        # If this fails, one more login is allowed; it must not hide the login's own error.
        with suppress(RedisError):
            await self._client.hdel(key, "open")


def _code_was_not_read(error: BaseException) -> bool:
    if isinstance(error, (RedisError, SessionStoreError)):
        return True  # no password is sent unless the session could be saved first
    decision = classify(error, writing=False)
    return decision.outcome in _CODE_NOT_READ_OUTCOMES or decision.code in _CODE_NOT_READ_CODES
