"""Sources with their secrets resolved from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.config.config import MissingVariable, SecretRef, Source
from service.logging.setup import get_logger
from service.signatures.verify import check_secret

_log = get_logger(__name__)


@dataclass(frozen=True)
class ResolvedSource:
    """A source; its webhooks are answered 503 while it has no secret.

    Parameters:
      name: The source's name in the path.
      scheme: The signature scheme.
      secrets: A webhook signed with any of them is accepted.
      livemode: The livemode of the events to accept; None for any.
      type_path: Keys that lead to an event's type; empty for the scheme's own.
    """

    name: str
    scheme: str
    secrets: tuple[str, ...] = field(repr=False)
    livemode: bool | None
    type_path: tuple[str, ...] = ()


def resolve_sources(
    sources: Mapping[str, Source], environ: Mapping[str, str]
) -> dict[str, ResolvedSource]:
    """Resolve the secrets of every source.

    A source whose variable is not set answers 503, so that its sender retries, and is named in an
    error line; the others work.

    Raises:
      ValueError: A secret is unusable for its scheme; the message names the source and the index.
    """
    return {name: _resolve(name, source, environ) for name, source in sources.items()}


def check_sources(sources: Mapping[str, Source], environ: Mapping[str, str]) -> None:
    """Check that secrets are usable for their scheme; a variable that is not set is no error.

    Raises:
      ValueError: A secret is unusable for its scheme; the message names the source and the index.
    """
    for name, source in sources.items():
        for index, value in enumerate(source.secrets):
            _resolve_secret(name, index, source.scheme, value, environ)


def _resolve(name: str, source: Source, environ: Mapping[str, str]) -> ResolvedSource:
    found = [
        _resolve_secret(name, index, source.scheme, value, environ)
        for index, value in enumerate(source.secrets)
    ]
    for value, secret in zip(source.secrets, found, strict=True):
        if secret is None:
            _log.error("source secret not set", source=name, variable=value.variable)
    secrets = tuple(secret for secret in found if secret is not None)
    if not secrets:
        _log.error("source has no secret; its webhooks are answered 503", source=name)
    return ResolvedSource(name, source.scheme, secrets, source.livemode, source.type_path)


def _resolve_secret(
    name: str, index: int, scheme: str, value: SecretRef, environ: Mapping[str, str]
) -> str | None:
    try:
        secret = value.resolve(environ)
    except MissingVariable:
        return None
    try:
        check_secret(scheme, secret)
    except ValueError as error:
        raise ValueError(f"sources.{name}.secrets[{index}]: {error}") from None
    return secret
