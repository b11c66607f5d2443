"""`heliograph people`: shows, exports and erases what is kept about one person.

    heliograph people show HANDLE
    heliograph people export HANDLE
    heliograph people erase HANDLE

Needs REDIS_URL, SECRET_KEY and HELIOGRAPH_CONFIG from the environment of the processes, and may run
beside them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import redis.asyncio as aredis

from service.config.config import Config, ConfigError, load_config
from service.config.settings import NO_API_KEYS, Settings, SettingsError, load_settings
from service.encryption.cipher import Cipher
from service.instagram.ids import InvalidIdentifier, normalise_named_recipient, person_name
from service.jobs.audit_log import CLI
from service.jobs.lua.builder import ScriptConfig
from service.people.erasure import Erasure, PersonErasure
from service.people.report import PersonReport, ReportSources
from service.redis.causes import said_by_redis
from service.redis.client import REDIS_ERRORS, async_client

OK, REFUSED, USAGE = 0, 1, 2

#: Jobs read at once.
_PAGE: Final = 20
_INCOMPLETE: Final = "not all jobs of older releases are listed: run it again"


@dataclass(frozen=True)
class PeopleAccess:
    """What the command works with."""

    settings: Settings
    config: Config

    async def run(self, action: Callable[[PersonReport, PersonErasure], Awaitable[int]]) -> int:
        """Connect, run an action, disconnect; return its exit status."""
        client = async_client(self.settings.redis_url, max_connections=2)
        try:
            return await action(self._report(client), self._erasure(client))
        finally:
            await client.aclose()

    def _report(self, client: aredis.Redis) -> PersonReport:
        cipher = Cipher.of(",".join(self.settings.secret_keys))
        sources = ReportSources.of(client, self._script_config, cipher)
        return PersonReport(client, self._script_config, sources, tuple(self.config.accounts))

    def _erasure(self, client: aredis.Redis) -> PersonErasure:
        return PersonErasure(client, self._script_config, tuple(self.config.accounts))

    @property
    def _script_config(self) -> ScriptConfig:
        return ScriptConfig.of(self.settings, self.config)


def run(arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> int:
    """Run the command.

    Parameters:
      arguments: `action` and `handle`.
      environ: The environment.

    Returns:
      0 if done, 1 if refused, 2 for wrong usage or invalid settings.
    """
    try:
        settings = load_settings({**environ, **NO_API_KEYS})
        access = PeopleAccess(settings, load_config(settings.config_path))
        asked = _asked(arguments.handle)
    except (SettingsError, InvalidIdentifier) as error:
        return _print_error(USAGE, str(error))
    except ConfigError as error:
        return _print_error(USAGE, f"HELIOGRAPH_CONFIG: {'; '.join(map(str, error.problems))}")
    action = _ACTIONS[arguments.action]
    try:
        return asyncio.run(access.run(lambda report, erasure: action(report, erasure, asked)))
    except BrokenPipeError:
        return _end_quietly()
    except REDIS_ERRORS as error:
        return _print_error(REFUSED, said_by_redis(error))


def _asked(handle: str) -> str:
    """The one name of the person.

    Raises:
      InvalidIdentifier: The argument names nobody; the message says why.
    """
    try:
        return person_name(normalise_named_recipient(handle))
    except InvalidIdentifier as error:
        raise InvalidIdentifier(f"HANDLE {error}") from None


def _end_quietly() -> int:
    """Whoever reads the output has closed it (`| head`): write nothing more, also not at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return REFUSED


def _print_error(status: int, message: str) -> int:
    sys.stderr.write(f"heliograph people: {message}\n")
    return status


async def _pages(report: PersonReport, asked: str) -> AsyncIterator[dict[str, Any]]:
    cursor: int | None = None
    while True:
        page = await report.page(asked, cursor=cursor, limit=_PAGE)
        yield page
        if page["next"] is None:
            return
        cursor = int(page["next"])


async def _show(report: PersonReport, _erasure: PersonErasure, asked: str) -> int:
    async for page in _pages(report, asked):
        for name in ("person", "suppressions", "threads", "caches"):
            if name in page:
                sys.stdout.write(f"{name}: {_line(page[name])}\n")
        sys.stdout.writelines(f"job: {_line(job)}\n" for job in page["items"])
        if not page["complete"]:
            return _print_error(REFUSED, _INCOMPLETE)
    return OK


async def _export(report: PersonReport, _erasure: PersonErasure, asked: str) -> int:
    """Write one JSON object, as it is read: there may be more jobs than fit into memory."""
    first = complete = True
    async for page in _pages(report, asked):
        jobs = page.pop("items")
        complete = complete and page["complete"]
        if first:
            head = {name: value for name, value in page.items() if name != "next"}
            sys.stdout.write(f'{_line(head)[:-1]},"jobs":[')
        lines = (f"{'' if first and at == 0 else ','}\n{_line(job)}" for at, job in enumerate(jobs))
        sys.stdout.writelines(lines)
        first = first and not jobs
    sys.stdout.write("]}\n")
    return OK if complete else _print_error(REFUSED, _INCOMPLETE)


async def _erase(_report: PersonReport, erasure: PersonErasure, asked: str) -> int:
    total = Counter[str]()
    while True:
        step = await erasure.erase(asked, CLI)
        total.update(step.public()["erased"])
        if step.busy:
            return _print_error(REFUSED, _busy(step, total))
        if step.done:
            break
    sys.stdout.write(f"erased: {_counts(total)}\n")
    for other in step.others:
        sys.stderr.write(f"heliograph people: {other} has had this username: erase it by itself\n")
    return OK


def _busy(step: Erasure, total: Counter[str]) -> str:
    return (
        f"jobs are running or may have written: {', '.join(step.busy)}; the rest is erased"
        f" ({_counts(total)}): run it again when they have ended"
    )


def _counts(total: Counter[str]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in total.items())


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


_ACTIONS: Final[Mapping[str, Callable[[PersonReport, PersonErasure, str], Awaitable[int]]]] = {
    "show": _show,
    "export": _export,
    "erase": _erase,
}
