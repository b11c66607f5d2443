"""heliograph.toml: sources, accounts, pacing, callbacks and rules.

No secret is read here: `"env:NAME"` stays a reference until the tier that needs the value
resolves it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Container, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, ValidationError, model_validator

from service.config.cross_checks import find_conflicts
from service.config.errors import (
    ConfigError,
    Problem,
    dotted_key,
    problem_at,
    validation_problems,
)
from service.config.models import Account, Callback, Lookups, Name, Rule, Source
from service.config.pacing import Pacing
from service.config.recipients import Recipients
from service.config.secret_refs import MissingVariable, SecretRef
from service.config.strict_model import StrictModel
from service.config.toml_lines import KeyLines

__all__ = [
    "Account",
    "Callback",
    "Config",
    "ConfigError",
    "MissingVariable",
    "Pacing",
    "Problem",
    "Rule",
    "SecretRef",
    "Source",
    "load_config",
    "parse_config",
    "redactions",
]


class Config(StrictModel):
    """The whole of heliograph.toml.

    Parameters:
      sources: By name.
      accounts: By name.
      pacing: The rate limits of accounts that have none of their own.
      lookups: How long a lookup stays fresh.
      recipients: What people type for a recipient.
      callbacks: By name.
      rules: In the order of the file.
    """

    sources: dict[Name, Source] = Field(default_factory=dict)
    accounts: dict[Name, Account] = Field(default_factory=dict)
    pacing: Pacing = Pacing()
    lookups: Lookups = Lookups()
    recipients: Recipients = Recipients()
    callbacks: dict[Name, Callback] = Field(default_factory=dict)
    rules: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _set_reference_keys(self) -> Self:
        for key, reference in self.references():
            reference.key = key
        return self

    def lookup_accounts(self, among: Container[str] | None = None) -> tuple[str, ...]:
        """Names of the accounts that serve lookups: the read-only ones, if there are any.

        Parameters:
          among: Only accounts of these names; None for all.
        """
        own = [
            (name, each) for name, each in self.accounts.items() if among is None or name in among
        ]
        read_only = tuple(name for name, each in own if each.role == "read")
        return read_only or tuple(name for name, each in own if each.may_read)

    def references(self) -> Iterator[tuple[str, SecretRef]]:
        """Every value that may come from the environment, with its dotted key."""
        for table in ("sources", "accounts", "callbacks"):
            for name, entry in getattr(self, table).items():
                for field in type(entry).model_fields:
                    value = getattr(entry, field)
                    if isinstance(value, SecretRef):
                        yield dotted_key((table, name, field)), value
                    elif field == "secrets":
                        for position, secret in enumerate(value):
                            yield dotted_key((table, name, field, position)), secret


def load_config(path: Path) -> Config:
    """Read a configuration file.

    Parameters:
      path: The heliograph.toml.

    Raises:
      ConfigError: The file cannot be read or used; carries every problem in it.
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
    """Parse and check a configuration.

    Parameters:
      text: The content of a heliograph.toml; an empty one is valid.

    Raises:
      ConfigError: The configuration cannot be used; carries every problem in it.
    """
    document, lines = _parse_toml(text)
    problems = [problem_at(lines, path, message) for path, message in find_conflicts(document)]
    try:
        config = Config.model_validate(document)
    except ValidationError as error:
        raise ConfigError([*problems, *validation_problems(error, Config, lines)]) from None
    if problems:
        raise ConfigError(problems)
    return config


def redactions(config: Config, environ: Mapping[str, str]) -> set[str]:
    """The secrets that must never appear in a log.

    Parameters:
      config: The configuration.
      environ: The environment its references point into; variables that are not set are skipped.

    Returns:
      Signing secrets, passwords, TOTP seeds and proxy URLs, and each proxy's password on its own.
      Callback URLs and usernames are not secret.
    """
    secrets: set[str] = set()
    for source in config.sources.values():
        secrets.update(_resolved(source.secrets, environ))
    for callback in config.callbacks.values():
        secrets.update(_resolved(callback.secrets, environ))
    for account in config.accounts.values():
        secrets.update(_resolved((account.password, account.totp_seed), environ))
        for proxy in _resolved((account.proxy,), environ):
            secrets.update((proxy, *_proxy_passwords(proxy)))
    return secrets


def _parse_toml(text: str) -> tuple[dict[str, Any], KeyLines]:
    try:
        return tomllib.loads(text), KeyLines(text)
    except tomllib.TOMLDecodeError as error:
        message, _, position = str(error).partition(" (at ")
        line = re.match(r"line (\d+)", position)
        number = int(line[1]) if line else text.count("\n") + 1
        raise ConfigError([Problem(number, "", f"not valid TOML: {message}")]) from None
    except RecursionError:
        raise ConfigError([Problem(None, "", "nested too deeply")]) from None


def _resolved(
    references: tuple[SecretRef | None, ...], environ: Mapping[str, str]
) -> Iterator[str]:
    for reference in references:
        if reference is not None:
            with suppress(MissingVariable):
                yield reference.resolve(environ)


def _proxy_passwords(proxy: str) -> set[str]:
    try:
        password = urlsplit(proxy if "://" in proxy else f"//{proxy}").password
    except ValueError:
        return set()
    return {password, unquote(password)} if password else set()
