"""Which keys of `SECRET_KEY` the store's values are encrypted with."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Final, cast

import redis.asyncio as aredis

from service.accounts.reencryption import AccountSecrets
from service.config.settings import Settings
from service.encryption.cipher import Cipher
from service.encryption.stored_values import KeyCounts, Kind
from service.jobs.lua.builder import ScriptConfig
from service.jobs.reencryption import KINDS, StoredContents

#: Keys of one step of the scan: the store does nothing else meanwhile.
SCAN_COUNT: Final = 500
REPORT_SECONDS: Final = 5.0


async def count_keys(
    client: aredis.Redis,
    settings: Settings,
    script_config: ScriptConfig,
    *,
    replace: bool = False,
    report: Callable[[int, KeyCounts], None] = lambda _looked, _counts: None,
    report_seconds: float = REPORT_SECONDS,
) -> KeyCounts:
    """Look at every key of the store, in steps beside living processes.

    Parameters:
      client: A Redis client.
      settings: Has `SECRET_KEY` and `ENCRYPT_AT_REST`.
      script_config: As the processes have it.
      replace: Re-encrypt what is not stored as new values are.
      report: Told how many keys were looked at, and the counts so far.
      report_seconds: How often.
    """
    secret_key = ",".join(settings.secret_keys)
    cipher = Cipher.of(secret_key, enabled=settings.encrypt_at_rest)
    stored = (
        StoredContents(client, script_config, cipher),
        AccountSecrets(client, secret_key),
    )
    counts, looked, reported = KeyCounts(), 0, time.monotonic()
    async for keys in _slices(client):
        for each in stored:
            await each.count(keys, counts, replace=replace)
        looked += len(keys)
        if time.monotonic() - reported >= report_seconds:
            reported = time.monotonic()
            report(looked, counts)
    return counts


async def erased_suppressions(client: aredis.Redis) -> int:
    """How many entries of the do-not-contact list are known by a person's key alone.

    Nobody can make another key of such an entry: whom it is about was erased.
    """
    # Those are the entries without a place in the list's order (lua/lib/erasure.lua).
    entries = await client.zrange("hg:suppressions", 0, 0, byscore=True)
    return sum(b":#" in entry for entry in cast("list[bytes]", entries))


async def tombstones_until(client: aredis.Redis) -> int:
    """When the last of what erased persons' events are known by ends (Unix ms); 0 for none.

    A tombstone does not tell under which part of `SECRET_KEY` it was made (lua/lib/tombstones.lua).
    """
    return max(0, int(await client.pexpiretime("hg:tombstones")))


async def _slices(client: aredis.Redis) -> AsyncIterator[list[str]]:
    """Every key of the ledger, a step of a scan at a time; a key may come twice."""
    cursor = 0
    while True:
        cursor, keys = await client.scan(cursor, match="hg:*", count=SCAN_COUNT)
        yield [key.decode("utf-8", "surrogateescape") for key in cast("list[bytes]", keys)]
        if cursor == 0:
            return


def in_words(counts: Mapping[Kind, int]) -> str:
    """Counts for people: `1 sessions, 2 texts`; '' for none."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))


def key_problems(counts: KeyCounts) -> Iterator[str]:
    """What cannot be read any more."""
    if unreadable := counts.of("unknown"):
        yield (
            f"encrypted with a key that SECRET_KEY does not have: {in_words(unreadable)}; append"
            " that key to SECRET_KEY"
        )


def key_notes(counts: KeyCounts, settings: Settings) -> Iterator[str]:
    """What is readable, but not stored as new values are."""
    if old := counts.of("old"):
        yield (
            f"encrypted under an old key of SECRET_KEY: {in_words(old)};"
            " `heliograph secret rotate` re-encrypts them"
        )
    if settings.encrypt_at_rest and (plain := counts.of("plain")):
        yield f"not encrypted: {in_words(plain)}; `heliograph secret rotate` encrypts them"
    if not settings.encrypt_at_rest and (encrypted := encrypted_contents(counts)):
        yield (
            f"encrypted although ENCRYPT_AT_REST is off: {encrypted};"
            " `heliograph secret rotate` decrypts them"
        )


def encrypted_contents(counts: KeyCounts) -> str:
    """How many bodies, texts and photos the first key has encrypted; '' for none."""
    first = counts.of("first")
    return in_words({kind: first[kind] for kind in first if kind in KINDS.values()})
