"""Stored Instagram sessions: encrypted, versioned, one device per account for life.

A session is bound to its account and its username, which are encrypted with it: one that was
copied to another account, or whose account was given another username, is never used. (The
release 0.2.0 ignores the account, and stores none; such a session is bound when it is read.)

Keys, after the prefix:
  `session:{account}`          hash: `version`, `blob` (JSON, compressed by zlib, in Fernet)
  `session:{account}:earlier`  list: the previous blobs, newest first; nothing reads them, they are
                               an operator's way back after a wrong import
  `sessions`                   set: the accounts that have a session
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final, cast

from cryptography.fernet import InvalidToken, MultiFernet
from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.accounts.device_identity import changed_traits
from service.jobs.audit_log import KEY

#: How many previous blobs are stored.
MAX_EARLIER: Final = 3
_SAVE_SCRIPT: Final = files(__package__).joinpath("save_session.lua").read_text()
_REPLACE_SCRIPT: Final = files(__package__).joinpath("replace_value.lua").read_text()

#: What decrypting a session raises if its key is missing or it was changed.
_NOT_DECRYPTED: Final = (InvalidToken, zlib.error, ValueError)


class SessionStoreError(Exception):
    """A session could not be loaded or saved; the message gives the remedy and holds no secret."""


class SessionUnreadable(SessionStoreError):
    """The stored session was encrypted with another key, or is another account's or username's."""


class SessionConflict(SessionStoreError):
    """A newer version was saved since this one was loaded; load again."""


class DeviceChanged(SessionStoreError):
    """Saving would change the account's device."""


@dataclass(frozen=True)
class StoredSession:
    """A session and its version.

    Parameters:
      settings: The client library's settings; they hold cookies and keys, so not in the repr.
      version: Counts saves from 1; pass it to `SessionStore.save`.
    """

    settings: dict[str, Any] = field(repr=False)
    version: int


class SessionStore:
    """Loads and saves the sessions of all accounts.

    Parameters:
      redis: A client that returns bytes (`decode_responses=False`).
      cipher: From `derive_keys`.
      prefix: Prefix of every key.
    """

    def __init__(self, redis: Redis, cipher: MultiFernet, prefix: str = "hg:") -> None:
        self._redis = redis
        self._cipher = cipher
        self._prefix = prefix
        self._save = redis.register_script(_SAVE_SCRIPT)
        self._replace = redis.register_script(_REPLACE_SCRIPT)

    async def version(self, account: str) -> int:
        """The stored version; 0 if there is none."""
        return int(await self._redis.hget(self._key(account), "version") or 0)

    async def load(self, account: str, username: str) -> StoredSession | None:
        """Load an account's session.

        Parameters:
          account: The account's name in the configuration.
          username: The Instagram username it logs in with.

        Returns:
          The session; None if none was ever saved.

        Raises:
          SessionUnreadable: It cannot be decrypted, or is another account's or username's. Put the
            account on hold: a new login would create a new device.
        """
        fields: list[Any] = await self._redis.hmget(self._key(account), "version", "blob")
        version, blob = fields
        if blob is None:
            return None
        record = self._decrypt(account, username, blob)
        if "account" not in record:
            await self._bind(account, blob, record)
        return StoredSession(record["settings"], int(version))

    async def check_not_renamed(self, account: str, username: str) -> None:
        """Make sure that a username without a session has none under another account's name.

        Parameters:
          account: The account, which has no session.
          username: The Instagram username it logs in with.

        Raises:
          SessionUnreadable: It has: the account was renamed, and a login would create a new device.
        """
        for other in sorted(await self._known_accounts() - {account}):
            blob = cast("bytes | None", await self._redis.hget(self._key(other), "blob"))
            if blob is not None and self._username_of(blob) == username.casefold():
                raise SessionUnreadable(
                    f"account {account!r}: the session of its username is stored for the account"
                    f" {other!r}; rename the account back, or export the session under the old"
                    " name and import it under the new one"
                )

    async def _known_accounts(self) -> set[str]:
        # Those that no release has listed with a session since had a job.
        async with self._redis.pipeline(transaction=False) as pipe:
            for index in ("sessions", "accts"):
                pipe.smembers(f"{self._prefix}{index}")
            found: list[set[bytes]] = await pipe.execute()
        return {name.decode() for names in found for name in names}

    def _username_of(self, blob: bytes) -> str | None:
        """The username of a session; None if it cannot be decrypted."""
        try:
            record = self._decrypt_record(blob)
        except _NOT_DECRYPTED:
            return None
        return str(record["username"])

    async def _bind(self, account: str, blob: bytes, record: dict[str, Any]) -> None:
        bound = self._cipher.encrypt(_pack({**record, "account": account}))
        with suppress(RedisError):  # a full store still serves it
            await self._redis.sadd(f"{self._prefix}sessions", account)
            await self._replace(keys=[self._key(account)], args=["blob", blob, bound])

    async def save(
        self,
        account: str,
        username: str,
        settings: Mapping[str, Any],
        *,
        version: int,
        reset_device: bool = False,
        audited: Sequence[str] = (),
    ) -> int:
        """Store a session unless another one was stored since it was loaded.

        Parameters:
          account: The account's name in the configuration.
          username: The Instagram username the session belongs to.
          settings: The client library's settings.
          version: The version that was loaded; 0 if there was none.
          reset_device: Replace the stored session even if it belongs to another device or cannot
            be read.
          audited: The entry of the audit log, if a person asks for it: from `audit_entry`.

        Returns:
          The new version.

        Raises:
          SessionConflict: Another version is stored.
          DeviceChanged: The stored session belongs to another device.
          SessionUnreadable: The stored session cannot be read.
        """
        record = _encode(account, username, settings)
        if not reset_device:
            await self._check_same_device(account, username, record)
        new_version = await self._save(
            keys=[self._key(account), self._earlier_key(account), f"{self._prefix}sessions", KEY],
            args=[
                version,
                self._cipher.encrypt(zlib.compress(record)),
                MAX_EARLIER,
                account,
                *audited,
            ],
        )
        if new_version < 0:
            raise SessionConflict(
                f"account {account!r}: a newer session than version {version} is stored; "
                "load it and try again"
            )
        return int(new_version)

    async def _check_same_device(self, account: str, username: str, record: bytes) -> None:
        stored = await self.load(account, username)
        if stored is None:
            return
        changed = changed_traits(stored.settings, json.loads(record)["settings"])
        if changed:
            raise DeviceChanged(
                f"account {account!r}: this session belongs to another device "
                f"({', '.join(sorted(changed))}); an account keeps one device for life, "
                "so reset it only on purpose"
            )

    def _decrypt(self, account: str, username: str, blob: bytes) -> dict[str, Any]:
        try:
            record = self._decrypt_record(blob)
        except _NOT_DECRYPTED:
            raise SessionUnreadable(
                f"account {account!r}: the stored session cannot be decrypted; "
                "restore the SECRET_KEY it was saved with, or import a session"
            ) from None
        if record.get("account", account) != account:
            raise SessionUnreadable(
                f"account {account!r}: the stored session belongs to another account; "
                "rename the account back, or import a session of this one"
            )
        if record["username"] != username.casefold():
            raise SessionUnreadable(
                f"account {account!r}: the stored session belongs to another username; "
                "correct the username, or import a session of this one"
            )
        return record

    def _decrypt_record(self, blob: bytes) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(zlib.decompress(self._cipher.decrypt(blob)))
        return record

    def _key(self, account: str) -> str:
        return f"{self._prefix}session:{account}"

    def _earlier_key(self, account: str) -> str:
        return f"{self._prefix}session:{account}:earlier"


def _encode(account: str, username: str, settings: Mapping[str, Any]) -> bytes:
    record = {"account": account, "username": username.casefold(), "settings": settings}
    return json.dumps(record, default=_to_json).encode()


def _pack(record: Mapping[str, Any]) -> bytes:
    return zlib.compress(json.dumps(record).encode())


def _to_json(value: object) -> Any:
    """Convert values that JSON does not know; settings written by other tools contain some."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    return str(value)
