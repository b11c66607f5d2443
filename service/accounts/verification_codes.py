"""Codes that people leave for an account's next login: encrypted, and taken out once.

Key `hg:code:{account}`: Fernet over the code. It lives KEEP_MS from when it was left.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Final, cast

from cryptography.fernet import InvalidToken, MultiFernet
from redis.asyncio import Redis

from service.logging.setup import get_logger

KEEP_MS: Final = 7 * 24 * 3600 * 1000
#: Holds that a login with a code can end: `login_refused` is what a wrong code comes to.
ANSWERABLE: Final = frozenset({"challenge_required", "two_factor_required", "login_refused"})

_BETWEEN: Final = re.compile(r"[\s-]+")
_CODE: Final = re.compile(r"[A-Za-z0-9]{4,12}")

_log = get_logger(__name__)


def normalise_code(raw: str) -> str:
    """Take out what only makes a code easier to read.

    Parameters:
      raw: As an e-mail, an SMS or a list of backup codes shows it: `123 456`, `1234-5678`.

    Raises:
      ValueError: It cannot be one; the message does not repeat it.
    """
    code = _BETWEEN.sub("", raw)
    if not _CODE.fullmatch(code):
        raise ValueError("must be 4 to 12 digits or letters, besides spaces and dashes")
    return code


@dataclass(frozen=True)
class TakenCode:
    """A code that was taken out for a login.

    Parameters:
      code: The code.
      sealed: As it was stored.
      left_ms: How long it would have been kept.
    """

    code: str = field(repr=False)
    sealed: bytes = field(repr=False)
    left_ms: int


class VerificationCodes:
    """Keeps at most one code per account.

    Parameters:
      client: The event loop's Redis client.
      cipher: From `derive_keys`.
    """

    def __init__(self, client: Redis, cipher: MultiFernet) -> None:
        self._client = client
        self._cipher = cipher

    async def put(self, account: str, code: str) -> None:
        """Leave a code; it replaces an earlier one.

        Parameters:
          account: Its name.
          code: As `normalise_code` gives it.
        """
        await self._client.set(_key(account), self._cipher.encrypt(code.encode()), px=KEEP_MS)

    async def take(self, account: str) -> TakenCode | None:
        """Take the code out, so that nobody else uses it; None where there is none.

        One that cannot be decrypted is gone too, with a warning: a new one is asked for soon.
        """
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.pttl(_key(account))
            pipe.getdel(_key(account))
            left_ms, sealed = await cast("Awaitable[tuple[int, bytes | None]]", pipe.execute())
        if sealed is None:
            return None
        try:
            code = self._cipher.decrypt(sealed).decode()
        except InvalidToken:
            _log.warning("verification code dropped: no SECRET_KEY decrypts it", account=account)
            return None
        return TakenCode(code, sealed, left_ms)

    async def put_back(self, account: str, taken: TakenCode) -> None:
        """Keep a code that was not used for as long as it would have been; a newer one stays.

        Parameters:
          account: Its name.
          taken: From `take`.
        """
        if taken.left_ms > 0:
            await self._client.set(_key(account), taken.sealed, px=taken.left_ms, nx=True)


def _key(account: str) -> str:
    return f"hg:code:{account}"
