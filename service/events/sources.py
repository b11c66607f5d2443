"""The sources as the web tier holds them: schemes, and secrets resolved from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.config.config import MissingVariable, SecretRef, Source
from service.logging.setup import get_logger
from service.signatures.verify import check_secret

_log = get_logger(__name__)


@dataclass(frozen=True)
class ResolvedSource:
    """A source that can be verified, or one without secrets, which answers 503.

    Parameters:
      name: Its name in the path.
      scheme: How its senders sign.
      secrets: Any of them may have signed.
      livemode: Which events it takes, where it says so.
    """

    name: str
    scheme: str
    secrets: tuple[str, ...] = field(repr=False)
    livemode: bool | None


def resolve_sources(
    sources: Mapping[str, Source], environ: Mapping[str, str]
) -> dict[str, ResolvedSource]:
    """Resolve the secrets of every source.

    A source whose variable is not set stays closed (503, so that its sender tries again) and is
    named in an error line; the others work.

    Parameters:
      sources: As configured.
      environ: The environment.

    Raises:
      ValueError: A secret is unusable for its scheme; the message names source and place.
    """
    return {name: _resolve(name, source, environ) for name, source in sources.items()}


def check_sources(sources: Mapping[str, Source], environ: Mapping[str, str]) -> None:
    """Refuse secrets that could never verify anything; what is not set is no mistake here.

    Parameters:
      sources: As configured.
      environ: The environment.

    Raises:
      ValueError: A secret is unusable for its scheme; the message names source and place.
    """
    for name, source in sources.items():
        for place, value in enumerate(source.secrets):
            _resolved(name, place, source.scheme, value, environ)


def _resolve(name: str, source: Source, environ: Mapping[str, str]) -> ResolvedSource:
    found = [
        _resolved(name, place, source.scheme, value, environ)
        for place, value in enumerate(source.secrets)
    ]
    for value, secret in zip(source.secrets, found, strict=True):
        if secret is None:
            _log.error("source secret not set", source=name, variable=value.variable)
    secrets = tuple(secret for secret in found if secret is not None)
    if not secrets:
        _log.error("source has no secret; its webhooks are answered 503", source=name)
    return ResolvedSource(name, source.scheme, secrets, source.livemode)


def _resolved(
    name: str, place: int, scheme: str, value: SecretRef, environ: Mapping[str, str]
) -> str | None:
    try:
        secret = value.resolve(environ)
    except MissingVariable:
        return None
    try:
        check_secret(scheme, secret)
    except ValueError as error:
        raise ValueError(f"sources.{name}.secrets[{place}]: {error}") from None
    return secret
