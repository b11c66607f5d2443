"""Re-encrypts stored sessions and verification codes, beside processes that use them."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from importlib.resources import files
from typing import Final, cast

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from redis.asyncio import Redis

from service.accounts.encryption import derive_fernets
from service.encryption.cipher import KeyState
from service.encryption.stored_values import KeyCounts, Kind

_REPLACE_SCRIPT: Final = files(__package__).joinpath("replace_value.lua").read_text()
_SESSION, _EARLIER, _CODE = "hg:session:", ":earlier", "hg:code:"


class AccountSecrets:
    """The sessions, current and earlier, and the verification codes of all accounts.

    Parameters:
      client: A Redis client.
      secret_key: The setting; its first part is what values should be encrypted with.
    """

    def __init__(self, client: Redis, secret_key: str) -> None:
        self._client = client
        self._first, *self._others = derive_fernets(secret_key)
        self._replace_value = client.register_script(_REPLACE_SCRIPT)

    async def count(self, keys: Sequence[str], counts: KeyCounts, *, replace: bool) -> None:
        """Count values by how they are stored; parameters as `StoredContents.count`."""
        for key in keys:
            kind = _kind(key)
            if kind is None:
                continue
            for place, value in await self._values(key):
                state = self._state(value)
                if replace and state == "old":
                    state = await self._replace(key, place, value)
                    counts.replaced += state == "first"
                counts.found[kind, state] += 1

    async def _values(self, key: str) -> list[tuple[str, bytes]]:
        """The encrypted values of a key, each with its field or index."""
        if key.startswith(_CODE):
            found = await self._client.get(key)
            return [] if found is None else [("", cast("bytes", found))]
        if key.endswith(_EARLIER):
            listed = await cast("Awaitable[list[bytes]]", self._client.lrange(key, 0, -1))
            return [(str(index), value) for index, value in enumerate(listed)]
        blob = await cast("Awaitable[bytes | None]", self._client.hget(key, "blob"))
        return [] if blob is None else [("blob", blob)]

    def _state(self, value: bytes) -> KeyState:
        if _decrypts(self._first, value):
            return "first"
        return "old" if any(_decrypts(key, value) for key in self._others) else "unknown"

    async def _replace(self, key: str, place: str, value: bytes) -> KeyState:
        new = MultiFernet([self._first, *self._others]).rotate(value)
        return "first" if await self._replace_value(keys=[key], args=[place, value, new]) else "old"


def _kind(key: str) -> Kind | None:
    if key.startswith(_CODE):
        return "verification codes"
    return "sessions" if key.startswith(_SESSION) else None


def _decrypts(fernet: Fernet, value: bytes) -> bool:
    try:
        fernet.decrypt(value)
    except InvalidToken:
        return False
    return True
