"""Instagram sessions at rest: encrypted, versioned, one device per account for life.

Keys, under the prefix:
  `session:{account}`          hash: `version`, `blob` (Fernet over zlib over JSON)
  `session:{account}:earlier`  list: the blobs before, newest first
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final

from cryptography.fernet import InvalidToken, MultiFernet
from redis.asyncio import Redis

from service.accounts.device_identity import changed_traits

KEEP_EARLIER: Final = 3
_SAVE: Final = files(__package__).joinpath("save_session.lua").read_text()


class SessionStoreError(Exception):
    """The vault refused; the message says what to do next and carries no secret."""


class SessionUnreadable(SessionStoreError):
    """A session is stored but cannot be used: another key wrote it, or it is another user's."""


class SessionConflict(SessionStoreError):
    """Someone saved a newer version since this one was loaded; load again."""


class DeviceChanged(SessionStoreError):
    """The save would give the account another device."""


@dataclass(frozen=True)
class StoredSession:
    """A session as the vault holds it.

    Parameters:
      settings: The client library's settings; carries cookies and keys, so it is not printed.
      version: Counts saves from 1; give it back to `Vault.save`.
    """

    settings: dict[str, Any] = field(repr=False)
    version: int


class SessionStore:
    """Loads and saves the sessions of all accounts."""

    def __init__(self, redis: Redis, cipher: MultiFernet, prefix: str = "hg:") -> None:
        """Bind the vault to its store.

        Parameters:
          redis: A client that answers in bytes (`decode_responses=False`).
          cipher: From `derive_keys`.
          prefix: Of every key.
        """
        self._redis = redis
        self._cipher = cipher
        self._prefix = prefix
        self._save = redis.register_script(_SAVE)

    async def version(self, account: str) -> int:
        """Tell which version is stored; 0 for none."""
        return int(await self._redis.hget(self._key(account), "version") or 0)

    async def load(self, account: str, username: str) -> StoredSession | None:
        """Fetch an account's session.

        Parameters:
          account: The account's name in the configuration.
          username: The Instagram username it logs in with.

        Returns:
          The session, or None when none was ever saved.

        Raises:
          SessionUnreadable: When it cannot be decrypted or belongs to another username. Hold the
            account: a new login here would mint a new device.
        """
        fields: list[Any] = await self._redis.hmget(self._key(account), "version", "blob")
        version, blob = fields
        if blob is None:
            return None
        return StoredSession(self._open(account, username, blob), int(version))

    async def earlier(self, account: str, username: str) -> list[StoredSession]:
        """Fetch the last few sessions before the stored one, newest first, for a rollback.

        Parameters:
          account: The account's name in the configuration.
          username: The Instagram username it logs in with.

        Returns:
          At most `KEEP_EARLIER`; the versions are those they had.

        Raises:
          SessionUnreadable: As `load`.
        """
        current = await self.version(account)
        blobs: list[Any] = await self._redis.lrange(self._earlier_key(account), 0, -1)
        return [
            StoredSession(self._open(account, username, blob), current - place)
            for place, blob in enumerate(blobs, start=1)
        ]

    async def save(
        self,
        account: str,
        username: str,
        settings: Mapping[str, Any],
        *,
        version: int,
        reset_device: bool = False,
    ) -> int:
        """Store a session if the stored one is still the one it came from.

        Parameters:
          account: The account's name in the configuration.
          username: The Instagram username the session belongs to.
          settings: The client library's settings.
          version: The version it was loaded as; 0 when there was none.
          reset_device: Replace even another device, or a session that cannot be read.

        Returns:
          The new version.

        Raises:
          SessionConflict: When a newer version is stored.
          DeviceChanged: When the device differs from the stored one.
          SessionUnreadable: When the stored one cannot be read.
        """
        plain = _encode(username, settings)
        if not reset_device:
            await self._refuse_another_device(account, username, plain)
        saved = await self._save(
            keys=[self._key(account), self._earlier_key(account)],
            args=[version, self._cipher.encrypt(zlib.compress(plain)), KEEP_EARLIER],
        )
        if saved < 0:
            raise SessionConflict(
                f"account {account!r}: a newer session than version {version} is stored; "
                "load it and try again"
            )
        return int(saved)

    async def _refuse_another_device(self, account: str, username: str, plain: bytes) -> None:
        stored = await self.load(account, username)
        if stored is None:
            return
        changed = changed_traits(stored.settings, json.loads(plain)["settings"])
        if changed:
            raise DeviceChanged(
                f"account {account!r}: this session is of another device "
                f"({', '.join(sorted(changed))}); an account keeps one device for life, "
                "so reset it only on purpose"
            )

    def _open(self, account: str, username: str, blob: bytes) -> dict[str, Any]:
        try:
            record = json.loads(zlib.decompress(self._cipher.decrypt(blob)))
        except (InvalidToken, zlib.error, ValueError):
            raise SessionUnreadable(
                f"account {account!r}: the stored session cannot be decrypted; "
                "put the SECRET_KEY back that wrote it, or import a session"
            ) from None
        if record["username"] != username.casefold():
            raise SessionUnreadable(
                f"account {account!r}: the stored session belongs to another username; "
                "correct the username, or import a session of this one"
            )
        settings: dict[str, Any] = record["settings"]
        return settings

    def _key(self, account: str) -> str:
        return f"{self._prefix}session:{account}"

    def _earlier_key(self, account: str) -> str:
        return f"{self._prefix}session:{account}:earlier"


def _encode(username: str, settings: Mapping[str, Any]) -> bytes:
    record = {"username": username.casefold(), "settings": settings}
    return json.dumps(record, default=_plain).encode()


def _plain(value: object) -> Any:
    """Stand in for what JSON has no form for; settings written by other tools hold such values."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    return str(value)
