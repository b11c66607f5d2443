"""`heliograph session`: shows, imports and exports an account's Instagram session.

    heliograph session show NAME
    heliograph session import NAME FILE [--reset-device]
    heliograph session export NAME FILE [--force]

Needs REDIS_URL, SECRET_KEY, HELIOGRAPH_CONFIG and the account's username from the environment of
the processes, and may run beside them.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from service.accounts.device_identity import device_of
from service.accounts.encryption import derive_keys
from service.accounts.session_import import OtherDevice, OtherUser, import_session
from service.accounts.session_settings import exportable, is_logged_in
from service.accounts.session_store import (
    SessionStore,
    SessionStoreError,
    SessionUnreadable,
    StoredSession,
)
from service.accounts.session_validation import (
    MAX_DOCUMENT_BYTES,
    InvalidSession,
    parse_document,
)
from service.commands.session_files import FileExists, FileUnusable, read_file, write_secret
from service.config.config import Config, ConfigError, MissingVariable, load_config
from service.config.settings import NO_API_KEYS, Settings, SettingsError, load_settings
from service.redis.causes import said_by_redis
from service.redis.client import REDIS_ERRORS, async_client

OK, REFUSED, USAGE = 0, 1, 2

_VARIABLES: Final = ("REDIS_URL", "SECRET_KEY", "HELIOGRAPH_CONFIG")

T = TypeVar("T")


class UsageError(Exception):
    """The command line is wrong; the message says what the command needs."""


class NoSession(Exception):
    """No session is stored for the account."""


@dataclass(frozen=True)
class SessionAccess:
    """Access to one account's stored session.

    Parameters:
      account: The account's name in the configuration.
      username: Its Instagram username.
      settings: From the environment.
    """

    account: str
    username: str
    settings: Settings = field(repr=False)

    def run(self, operation: Callable[[SessionStore], Awaitable[T]]) -> T:
        """Connect, run an operation on the session store, disconnect; return its result."""

        async def connected() -> T:
            client = async_client(self.settings.redis_url, max_connections=1)
            try:
                cipher = derive_keys(",".join(self.settings.secret_keys))
                return await operation(SessionStore(client, cipher))
            finally:
                await client.aclose()

        return asyncio.run(connected())

    def load(self) -> StoredSession:
        """Load the stored session.

        Raises:
          NoSession: No session is stored.
        """
        session = self.run(lambda store: store.load(self.account, self.username))
        if session is None:
            raise NoSession(f"account {self.account!r}: no session is stored yet")
        return session


def run(arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> int:
    """Run the command.

    Parameters:
      arguments: `action`, `name`, and the action's own arguments.
      environ: The environment.

    Returns:
      0 if done, 1 if refused, 2 for wrong usage or invalid settings.
    """
    try:
        _ACTIONS[arguments.action](_session_access(arguments.name, environ), arguments)
    except (UsageError, SettingsError, MissingVariable, FileUnusable) as error:
        return _print_error(USAGE, str(error))
    except ConfigError as error:
        return _print_error(USAGE, f"HELIOGRAPH_CONFIG: {'; '.join(map(str, error.problems))}")
    except (InvalidSession, FileExists, NoSession) as error:
        return _print_error(REFUSED, str(error))
    except SessionStoreError as error:
        return _print_error(REFUSED, f"{error}{_remedy(error, arguments.action)}")
    except REDIS_ERRORS as error:
        return _print_error(REFUSED, said_by_redis(error))
    return OK


def _session_access(name: str, environ: Mapping[str, str]) -> SessionAccess:
    needed = {key: environ[key] for key in _VARIABLES if key in environ}
    settings = load_settings({**NO_API_KEYS, **needed})
    config = load_config(settings.config_path)
    if name not in config.accounts:
        raise UsageError(f"there is no account {name!r} (configured: {_names(config)})")
    return SessionAccess(name, config.accounts[name].username.resolve(environ), settings)


def _names(config: Config) -> str:
    return ", ".join(config.accounts) or "none"


def _print_error(status: int, message: str) -> int:
    sys.stderr.write(f"heliograph session: {message}\n")
    return status


def _remedy(error: SessionStoreError, action: str) -> str:
    if action == "import" and isinstance(error, OtherDevice | OtherUser | SessionUnreadable):
        return "; to replace the stored session anyway, add --reset-device"
    return ""


def _import(access: SessionAccess, arguments: argparse.Namespace) -> None:
    document = parse_document(read_file(arguments.file, MAX_DOCUMENT_BYTES))
    imported = access.run(
        lambda store: import_session(
            store, access.account, access.username, document, reset_device=arguments.reset_device
        )
    )
    reset = "; the account now has another device" if imported.device_reset else ""
    sys.stdout.write(f"account {access.account!r}: imported as version {imported.version}{reset}\n")


def _export(access: SessionAccess, arguments: argparse.Namespace) -> None:
    settings = exportable(access.load().settings)
    text = json.dumps(settings, indent=4) + "\n"
    write_secret(arguments.file, text, force=arguments.force)
    sys.stderr.write(
        "heliograph session: the exported session is a secret: whoever has it controls the"
        " account. Delete it when you no longer need it.\n"
    )
    if not is_logged_in(settings):
        sys.stderr.write("heliograph session: the session has a device but no login\n")


def _show(access: SessionAccess, _arguments: argparse.Namespace) -> None:
    session = access.load()
    lines = {
        "account": access.account,
        "username": access.username,
        "version": session.version,
        "logged in": "yes" if is_logged_in(session.settings) else "no",
        "last login": _time_text(session.settings.get("last_login")),
        "device": _fingerprint(session.settings),
    }
    sys.stdout.writelines(f"{name + ':':<12}{value}\n" for name, value in lines.items())


def _time_text(seconds: object) -> str:
    if not isinstance(seconds, int | float):
        return "unknown"
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (OverflowError, OSError, ValueError):
        return "unknown"


def _fingerprint(settings: Mapping[str, Any]) -> str:
    """Return a hash that changes only with the device."""
    traits = sorted((".".join(path), value) for path, value in device_of(settings).items())
    return hashlib.sha256(json.dumps(traits).encode()).hexdigest()[:12]


_ACTIONS: Final[Mapping[str, Callable[[SessionAccess, argparse.Namespace], None]]] = {
    "show": _show,
    "import": _import,
    "export": _export,
}
