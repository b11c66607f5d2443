"""Finds secrets that serve two purposes: whoever learns one of them has the other as well. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final, NamedTuple

from service.config.config import Config, MissingVariable, SecretRef
from service.credentials.api_keys import parse_api_keys

#: What the secrets of a table protect. Two sources of one sender may share a secret, and so may two
#: callbacks of one receiver.
_SHARED: Final = {
    "sources": "sources",
    "callbacks": "callbacks",
    "accounts": "passwords",
}


class _Use(NamedTuple):
    """A secret where it is used.

    Parameters:
      purpose: What it protects.
      owner: The variable or table that has it; within one, it must not be twice.
      place: The variable, or the dotted key.
      value: The secret.
    """

    purpose: str
    owner: str
    place: str
    value: str


def reused_secrets(config: Config, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each secret that is used twice; it names both places, not the secret.

    Parameters:
      config: A valid configuration.
      environ: The environment; variables that are not set are passed over.
    """
    first: dict[str, _Use] = {}
    for use in (*_own_keys(environ), *_configured(config, environ)):
        known = first.setdefault(use.value, use)
        if known is not use and (known.purpose != use.purpose or known.owner == use.owner):
            yield (
                f"{use.place} has the value of {known.place}: use each secret once"
                " (`openssl rand -hex 32` makes one)"
            )


def _own_keys(environ: Mapping[str, str]) -> Iterator[_Use]:
    # Which of several keys it is, and that none is there twice, the settings say.
    keys = {part.strip() for part in environ.get("SECRET_KEY", "").split(",")}
    api_keys: set[str] = set()
    with suppress(ValueError):
        api_keys = {key.secret for key in parse_api_keys(environ.get("API_KEYS", ""))}
    metrics = {environ.get("METRICS_KEY", "").strip()}
    for name, values in (("SECRET_KEY", keys), ("API_KEYS", api_keys), ("METRICS_KEY", metrics)):
        yield from (_Use(name, name, name, value) for value in sorted(values - {""}))


def _configured(config: Config, environ: Mapping[str, str]) -> Iterator[_Use]:
    for table, purpose in _SHARED.items():
        for name, entry in getattr(config, table).items():
            references: tuple[SecretRef, ...] = (
                (entry.password,) if table == "accounts" else entry.secrets
            )
            for reference in references:
                with suppress(MissingVariable):
                    value = reference.resolve(environ)
                    yield _Use(purpose, f"{table}.{name}", reference.key, value)
