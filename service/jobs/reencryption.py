"""Re-encrypts stored bodies, texts and photos, beside processes that use them."""

from __future__ import annotations

import hashlib
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Sequence
from typing import Any, Final, cast

import redis.asyncio as aredis

from service.encryption import places
from service.encryption.cipher import HEAD_BYTES, Cipher, KeyState, Unreadable
from service.encryption.stored_values import KeyCounts, Kind
from service.jobs.job_text import is_text_encrypted, read_text
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.hash_encoding import fields_of
from service.jobs.lua.replace_encrypted import replace_encrypted
from service.jobs.lua.runner import Scripts
from service.jobs.records import body_place
from service.redis.decoding import decode_fields

_BODY, _PLAIN_BODY = "hg:encbody:", "hg:eventbody:"
_TEXT, _PHOTO = "hg:jobtext:", "hg:jobphoto:"
KINDS: Final[dict[str, Kind]] = {
    _BODY: "event bodies",
    _PLAIN_BODY: "event bodies",
    _TEXT: "texts",
    _PHOTO: "photos",
}
#: Base64 of at least HEAD_BYTES.
_HEAD_CHARACTERS: Final = 4 * -(-HEAD_BYTES // 3)


class StoredContents:
    """The bodies, texts and photos of a ledger.

    Parameters:
      client: A Redis client.
      script_config: As the processes have it.
      cipher: Its first key, or none where encryption is off, is what values should have.
    """

    def __init__(self, client: aredis.Redis, script_config: ScriptConfig, cipher: Cipher) -> None:
        self._client = client
        self._scripts = Scripts(client, script_config)
        self._cipher = cipher

    async def count(self, keys: Sequence[str], counts: KeyCounts, *, replace: bool) -> None:
        """Count values by how they are stored.

        Parameters:
          keys: Some of the store's keys, of any kind; those of other kinds are passed over.
          counts: What was counted so far.
          replace: Re-encrypt those that are not stored as new ones are.
        """
        known = [key for key in keys if _prefix(key)]
        current = self._cipher.current
        for key, before in zip(known, await self._states(known), strict=True):
            if before is None:
                continue
            after = before
            if replace and before not in (current, "unknown"):
                after = await self._replace(key, before)
                counts.replaced += after == current
            counts.found[KINDS[_prefix(key)], after] += 1

    async def _states(self, keys: Sequence[str]) -> list[KeyState | None]:
        """How each value is stored; None for one that is empty or not stored any more."""
        async with self._client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.getrange(key, 0, _HEAD_CHARACTERS - 1)
                pipe.hget(f"hg:job:{_id(key)}", "v")
            replies: list[bytes | None] = await pipe.execute()
        heads = zip(keys, replies[::2], replies[1::2], strict=True)
        return [self._state(key, head or b"", version) for key, head, version in heads]

    def _state(self, key: str, head: bytes, version: bytes | None) -> KeyState | None:
        if not head:
            return None
        if _prefix(key) != _TEXT:
            return self._cipher.key_state(head)
        stored = head.decode("latin-1")
        if version is None or not is_text_encrypted({"v": version.decode()}, stored):
            return "plain"
        try:
            return self._cipher.key_state(a2b_base64(head))
        except Base64Error:
            return "unknown"

    async def _replace(self, key: str, state: KeyState) -> KeyState:
        """Re-encrypt one value; return how it is stored now."""
        fields, stored = await self._read(key)
        if stored is None:
            return state
        try:
            new = self._reencrypted(key, fields, stored)
        except (Unreadable, KeyError):
            return "unknown"
        read = hashlib.sha1(stored, usedforsecurity=False).hexdigest()
        job_id = "" if _is_body(key) else _id(key)
        encrypted: Any = "1" if self._cipher.enabled else ""
        call = replace_encrypted(key, read, self._new_key(key), new, job_id, encrypted)
        return self._cipher.current if await self._scripts.run(call) == "ok" else state

    def _new_key(self, key: str) -> str:
        if not _is_body(key):
            return key
        return (_BODY if self._cipher.enabled else _PLAIN_BODY) + _id(key)

    async def _read(self, key: str) -> tuple[dict[bytes, bytes], bytes | None]:
        """The record that a value belongs to, and the value."""
        record = "hg:event:" if _is_body(key) else "hg:job:"
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hgetall(record + _id(key))
            pipe.get(key)
            fields, stored = await pipe.execute()
        return cast("dict[bytes, bytes]", fields), stored

    def _reencrypted(self, key: str, fields: dict[bytes, bytes], stored: bytes) -> bytes | str:
        cipher, name = self._cipher, _id(key)
        if _prefix(key) == _TEXT:
            text = read_text(name, fields_of(fields), stored.decode(), cipher)
            place = places.job_text(fields.get(b"encrypted_as", name.encode()).decode())
            return cipher.encrypt_text(text, place) if cipher.enabled else text
        if _prefix(key) == _PHOTO:
            place = places.job_photo(name)
        else:
            place = body_place(decode_fields(fields))
        plain = cipher.decrypt(stored, place)
        return cipher.encrypt(plain, place) if cipher.enabled else plain


def _prefix(key: str) -> str:
    """The prefix that tells a value's kind; '' for other keys."""
    return next((prefix for prefix in KINDS if key.startswith(prefix)), "")


def _is_body(key: str) -> bool:
    return key.startswith((_BODY, _PLAIN_BODY))


def _id(key: str) -> str:
    """The job's id, or the event's source and id."""
    return key.removeprefix(_prefix(key))
