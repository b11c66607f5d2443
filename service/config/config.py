"""heliograph.toml: sources, accounts, pacing, callbacks and rules.

Nothing secret is read here: `"env:NAME"` stays a reference until the tier that needs the value
reveals it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, ValidationError, model_validator

from service.config.cross_checks import find_conflicts
from service.config.errors import ConfigError, Problem, dotted, located, problems_of
from service.config.models import Account, Callback, Lookups, Name, Rule, Source
from service.config.pacing import Pacing, StrictModel
from service.config.secret_refs import MissingVariable, Value
from service.config.toml_lines import Lines

__all__ = [
    "Account",
    "Callback",
    "Config",
    "ConfigError",
    "MissingVariable",
    "Pacing",
    "Problem",
    "Rule",
    "Source",
    "Value",
    "load_config",
    "parse_config",
    "redactions",
]


class Config(StrictModel):
    """The whole of heliograph.toml.

    Parameters:
      sources: By name.
      accounts: By name.
      pacing: What holds for all accounts.
      lookups: For how long what was looked up is fresh.
      callbacks: By name.
      rules: In the order of the file.
    """

    sources: dict[Name, Source] = Field(default_factory=dict)
    accounts: dict[Name, Account] = Field(default_factory=dict)
    pacing: Pacing = Pacing()
    lookups: Lookups = Lookups()
    callbacks: dict[Name, Callback] = Field(default_factory=dict)
    rules: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _name_values(self) -> Self:
        for key, value in self.references():
            value.key = key
        return self

    def pacing_of(self, account: str) -> Pacing:
        """The pacing of one account, its own overrides included.

        Parameters:
          account: Name of a configured account.
        """
        return self.pacing.with_overrides(self.accounts[account].pacing)

    def readers(self) -> tuple[str, ...]:
        """The accounts that look up: those that only read, where there are any."""
        only = tuple(name for name, each in self.accounts.items() if each.role == "read")
        return only or tuple(name for name, each in self.accounts.items() if each.may_read)

    def references(self) -> Iterator[tuple[str, Value]]:
        """Every value that may live in the environment, under its dotted key."""
        for table in ("sources", "accounts", "callbacks"):
            for name, entry in getattr(self, table).items():
                for field in type(entry).model_fields:
                    found = getattr(entry, field)
                    if isinstance(found, Value):
                        yield dotted((table, name, field)), found
                    elif field == "secrets":
                        for position, secret in enumerate(found):
                            yield dotted((table, name, field, position)), secret


def load_config(path: Path) -> Config:
    """Read a configuration file.

    Parameters:
      path: The heliograph.toml.

    Raises:
      ConfigError: It cannot be read or used; carries all that is wrong.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise ConfigError([Problem(None, "", f"{path}: {reason}")]) from error
    try:
        return parse_config(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError([Problem(line, "", "not UTF-8; save the file as UTF-8")]) from error


def parse_config(text: str) -> Config:
    """Read a configuration.

    Parameters:
      text: The content of a heliograph.toml; an empty one is valid.

    Raises:
      ConfigError: It cannot be used; carries all that is wrong.
    """
    document, lines = _document(text)
    problems = [located(lines, path, message) for path, message in find_conflicts(document)]
    try:
        config = Config.model_validate(document)
    except ValidationError as error:
        raise ConfigError([*problems, *problems_of(error, Config, lines)]) from None
    if problems:
        raise ConfigError(problems)
    return config


def redactions(config: Config, environ: Mapping[str, str]) -> set[str]:
    """What must never be seen in a log.

    Parameters:
      config: The configuration.
      environ: The environment its references point into; what is not set there is left out.

    Returns:
      Secrets, passwords, seeds and proxies, and a proxy's password on its own. Callback URLs and
      usernames are not secret.
    """
    secrets: set[str] = set()
    for source in config.sources.values():
        secrets.update(_revealed(source.secrets, environ))
    for callback in config.callbacks.values():
        secrets.update(_revealed(callback.secrets, environ))
    for account in config.accounts.values():
        secrets.update(_revealed((account.password, account.totp_seed), environ))
        for proxy in _revealed((account.proxy,), environ):
            secrets.update((proxy, *_proxy_passwords(proxy)))
    return secrets


def _document(text: str) -> tuple[dict[str, Any], Lines]:
    try:
        return tomllib.loads(text), Lines(text)
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).partition(" (at ")
        line = re.match(r"line (\d+)", place)
        number = int(line[1]) if line else text.count("\n") + 1
        raise ConfigError([Problem(number, "", f"not valid TOML: {message}")]) from None
    except RecursionError:
        raise ConfigError([Problem(None, "", "nested too deeply")]) from None


def _revealed(values: tuple[Value | None, ...], environ: Mapping[str, str]) -> Iterator[str]:
    for value in values:
        if value is not None and (
            value.variable is None or environ.get(value.variable, "").strip()
        ):
            yield value.reveal(environ)


def _proxy_passwords(proxy: str) -> set[str]:
    try:
        password = urlsplit(proxy if "://" in proxy else f"//{proxy}").password
    except ValueError:
        return set()
    return {password, unquote(password)} if password else set()
