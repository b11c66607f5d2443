"""Callback endpoints: the callbacks of the configuration, with their URLs and secrets resolved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from service.credentials.strength import has_entropy
from service.network.urls import InvalidUrl, parse_endpoint_url
from service.signatures.sign import PREFIX, decode_secret


class SecretReference(Protocol):
    """A configured value that may come from the environment (`env:NAME`)."""

    def resolve(self, environ: Mapping[str, str]) -> str:
        """Look up the value."""


class CallbackLike(Protocol):
    """One callback of the configuration."""

    @property
    def url(self) -> SecretReference:
        """The URL that is called."""

    @property
    def secrets(self) -> Sequence[SecretReference]:
        """The signing secrets: one, or several while rotating."""


@dataclass(frozen=True)
class CallbackEndpoint:
    """A callback endpoint with its URL and secrets.

    Parameters:
      name: As in `[callbacks.NAME]`.
      url: The full URL; its path and query are often secret, so it is not in the repr.
      origin: `https://example.com`, safe to show.
      secrets: The signing secrets (`whsec_...`).
    """

    name: str
    url: str = field(repr=False)
    origin: str
    secrets: tuple[str, ...] = field(repr=False)


class CallbackEndpoints:
    """The callback endpoints of the configuration, before their secrets are resolved.

    Parameters:
      callbacks: The configured callbacks by name.
      allow_http: Whether plain HTTP is allowed.
    """

    def __init__(self, callbacks: Mapping[str, CallbackLike], *, allow_http: bool = False) -> None:
        self._callbacks = dict(callbacks)
        self._allow_http = allow_http

    def resolve(self, environ: Mapping[str, str]) -> dict[str, CallbackEndpoint]:
        """Resolve and check the URL and secrets of every endpoint.

        Parameters:
          environ: The environment that `env:NAME` refers to.

        Returns:
          The endpoints by name.

        Raises:
          ValueError: A URL or secret cannot be used; the message names the field, not the value.
        """
        return {
            name: self._endpoint(name, callback, environ)
            for name, callback in self._callbacks.items()
        }

    def _endpoint(
        self, name: str, callback: CallbackLike, environ: Mapping[str, str]
    ) -> CallbackEndpoint:
        url = callback.url.resolve(environ)
        try:
            parsed = parse_endpoint_url(url, allow_http=self._allow_http)
        except InvalidUrl as error:
            raise ValueError(f"callbacks.{name}.url {error}") from None
        secrets = _resolve_secrets(name, callback.secrets, environ)
        return CallbackEndpoint(name=name, url=url, origin=parsed.origin, secrets=secrets)


def _resolve_secrets(
    name: str, references: Sequence[SecretReference], environ: Mapping[str, str]
) -> tuple[str, ...]:
    if not references:
        raise ValueError(f"callbacks.{name}.secrets is empty: give at least one")
    secrets = tuple(reference.resolve(environ) for reference in references)
    for position, secret in enumerate(secrets):
        try:
            _check_secret(secret)
        except ValueError as error:
            raise ValueError(f"callbacks.{name}.secrets[{position}]: {error}") from None
    return secrets


def _check_secret(secret: str) -> None:
    key = decode_secret(secret)
    if not (has_entropy(secret.removeprefix(PREFIX)) and has_entropy(key.decode("latin-1"))):
        raise ValueError(
            "the signing secret is easy to guess (repetitive, a sequence or a placeholder);"
            ' echo "whsec_$(openssl rand -base64 32)" makes one'
        )
