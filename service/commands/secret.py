"""`heliograph secret rotate`: re-encrypts what is stored with the first part of `SECRET_KEY`.

    heliograph secret rotate

Needs REDIS_URL, SECRET_KEY and HELIOGRAPH_CONFIG from the environment of the processes, and runs
beside them. With ENCRYPT_AT_REST=off it decrypts bodies, texts and photos, for releases that do not
know encrypted ones.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from service.commands.stored_keys import (
    count_keys,
    erased_suppressions,
    key_notes,
    key_problems,
    tombstones_until,
)
from service.config.config import ConfigError, load_config
from service.config.settings import NO_API_KEYS, Settings, SettingsError, load_settings
from service.encryption.stored_values import KeyCounts
from service.jobs.lua.builder import ScriptConfig
from service.jobs.lua.runner import Scripts
from service.jobs.unfinished_events import finish_events
from service.redis.causes import said_by_redis
from service.redis.client import REDIS_ERRORS, async_client
from service.time_formats.timestamps import rfc3339

OK, LEFT, USAGE = 0, 1, 2

_VARIABLES: Final = ("REDIS_URL", "SECRET_KEY", "HELIOGRAPH_CONFIG", "ENCRYPT_AT_REST")


def rotate(environ: Mapping[str, str] = os.environ) -> int:
    """Run the command.

    Parameters:
      environ: The environment.

    Returns:
      0 if everything is stored as new values are, 1 if something is left, 2 for invalid settings.
    """
    given = {key: environ[key] for key in _VARIABLES if key in environ}
    try:
        settings = load_settings({**NO_API_KEYS, **given})
        script_config = ScriptConfig.of(settings, load_config(settings.config_path))
    except (SettingsError, ConfigError) as error:
        for problem in error.problems:
            _print_error(str(problem))
        return USAGE
    try:
        return asyncio.run(_rotate(settings, script_config))
    except REDIS_ERRORS as error:
        _print_error(f"{said_by_redis(error)}; run it again to go on")
        return LEFT


async def _rotate(settings: Settings, script_config: ScriptConfig) -> int:
    client = async_client(settings.redis_url, max_connections=2)
    try:
        # What is still to be created has its text in the entry, where nothing re-encrypts it.
        await finish_events(client, Scripts(client, script_config))
        done = await count_keys(client, settings, script_config, replace=True, report=_report)
        known = _known_by_old_keys(
            await erased_suppressions(client), await tombstones_until(client)
        )
        # Processes wrote meanwhile: what counts is what is there now.
        counts = await count_keys(client, settings, script_config)
    finally:
        await client.aclose()
    verb = "re-encrypted" if settings.encrypt_at_rest else "decrypted or re-encrypted"
    print(f"{done.replaced} values {verb}")
    return _conclude(settings, counts, known)


def _report(looked: int, counts: KeyCounts) -> None:
    print(f"{looked} keys looked at, {counts.replaced} values re-encrypted ...", flush=True)


def _known_by_old_keys(suppressions: int, until_ms: int) -> list[str]:
    """What only an old key may know about erased persons.

    Parameters:
      suppressions: Their entries of the do-not-contact list.
      until_ms: When the last tombstone of their events ends (Unix ms); 0 for none.
    """
    known = []
    if suppressions:
        known.append(f"{suppressions} do-not-contact entries of erased persons")
    if until_ms:
        known.append(f"until {rfc3339(until_ms)}, what was done for erased persons")
    return known


def _conclude(settings: Settings, counts: KeyCounts, known: Sequence[str]) -> int:
    """Say what is left, and whether the old keys may go.

    Parameters:
      known: What only an old key may know.
    """
    left = [*key_problems(counts), *key_notes(counts, settings)]
    for line in left:
        print(line)
    if left:
        print(
            "run this again when all processes have this SECRET_KEY and what is sent now has ended"
        )
        return LEFT
    if len(settings.secret_keys) > 1 and known:
        print(
            "nothing is encrypted under an old key any more; keep it as the last one of SECRET_KEY"
            f" all the same: {'; '.join(known)} may be known under it only"
        )
    elif len(settings.secret_keys) > 1:
        print("nothing is encrypted under an old key any more: remove it from SECRET_KEY")
    else:
        print("everything that is encrypted is so under the only key of SECRET_KEY")
    return OK


def _print_error(message: str) -> None:
    print(f"heliograph secret: {message}", file=sys.stderr)
