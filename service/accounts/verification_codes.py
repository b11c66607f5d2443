"""Verification codes that people submit for an account's next login: encrypted, used once.

Key `hg:code:{account}`: the code in Fernet; expires CODE_TTL_MS after it was submitted.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Final, cast

from cryptography.fernet import InvalidToken, MultiFernet
from redis.asyncio import Redis

from service.jobs.audit_log import CLI, KEY, Requester, audit_entry
from service.logging.setup import get_logger
from service.redis.causes import note_change

CODE_TTL_MS: Final = 7 * 24 * 3600 * 1000
#: Holds that a login with a code can end; `login_refused` follows a wrong code.
CODE_HOLDS: Final = frozenset({"challenge_required", "two_factor_required", "login_refused"})

_SEPARATORS: Final = re.compile(r"[\s-]+")
_CODE: Final = re.compile(r"[A-Za-z0-9]{4,12}")

_log = get_logger(__name__)


def normalise_code(raw: str) -> str:
    """Remove the spaces and dashes of a code.

    Parameters:
      raw: As shown in an e-mail, an SMS or a list of backup codes: `123 456`, `1234-5678`.

    Raises:
      ValueError: It is not a code; the message does not repeat it.
    """
    code = _SEPARATORS.sub("", raw)
    if not _CODE.fullmatch(code):
        raise ValueError("must be 4 to 12 letters or digits; spaces and dashes are ignored")
    return code


@dataclass(frozen=True)
class TakenCode:
    """A code taken for a login.

    Parameters:
      code: The code.
      encrypted: The code as it was stored.
      ttl_ms: How much longer it would have been stored.
    """

    code: str = field(repr=False)
    encrypted: bytes = field(repr=False)
    ttl_ms: int


class VerificationCodes:
    """Stores at most one code per account.

    Parameters:
      client: The event loop's Redis client.
      cipher: From `derive_keys`.
    """

    def __init__(self, client: Redis, cipher: MultiFernet) -> None:
        self._client = client
        self._cipher = cipher

    async def put(self, account: str, code: str, requester: Requester = CLI) -> None:
        """Store a code, replacing the account's earlier one.

        Parameters:
          account: The account's name.
          code: From `normalise_code`.
          requester: Who submits it, for the audit log.
        """
        encrypted = self._cipher.encrypt(code.encode())
        entry = audit_entry("verification_code", "", requester, account)
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.set(_key(account), encrypted, px=CODE_TTL_MS)
            pipe.execute_command("XADD", KEY, "*", *entry)
            await pipe.execute()
        note_change()

    async def take(self, account: str) -> TakenCode | None:
        """Remove and return the code, so that it is used once; None if there is none.

        A code that cannot be decrypted is dropped with a warning: the next login asks for another.
        """
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.pttl(_key(account))
            pipe.getdel(_key(account))
            ttl_ms, encrypted = await cast("Awaitable[tuple[int, bytes | None]]", pipe.execute())
        if encrypted is None:
            return None
        try:
            code = self._cipher.decrypt(encrypted).decode()
        except InvalidToken:
            _log.warning("verification code dropped: no SECRET_KEY decrypts it", account=account)
            return None
        return TakenCode(code, encrypted, ttl_ms)

    async def put_back(self, account: str, taken: TakenCode) -> None:
        """Store an unused code again, for as long as it had left; a newer one stays.

        Parameters:
          account: The account's name.
          taken: From `take`.
        """
        if taken.ttl_ms > 0:
            await self._client.set(_key(account), taken.encrypted, px=taken.ttl_ms, nx=True)


def _key(account: str) -> str:
    return f"hg:code:{account}"
