"""Where callbacks go: the checked URL of an endpoint, and the endpoints of the configuration."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Final, Protocol
from urllib.parse import SplitResult, quote, urlsplit

from service.signatures.sign import decode_secret

MAX_URL_CHARACTERS: Final = 2048

_DEFAULT_PORTS: Final[Mapping[str, int]] = {"https": 443, "http": 80}
_HOST: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?")
#: IDNA 2003 and 2008 send names with these to different hosts (UTS 46, section 4).
_DEVIATIONS: Final = re.compile("[\u00df\u03c2\u200c\u200d]")
#: What a path or a query may hold unescaped (RFC 3986), and the escape itself.
_SAFE: Final = "/:@!$&'()*+,;=-._~%?[]"


class InvalidUrl(ValueError):
    """A URL that callbacks cannot be sent to; the message does not repeat it."""


@dataclass(frozen=True)
class ParsedUrl:
    """A callback URL, taken apart and in its normal form.

    Parameters:
      scheme: `https` or `http`.
      host: In ASCII (IDNA for other scripts), lower case; an IPv6 literal has no brackets.
      port: Always a number.
      target: Path and query, in ASCII; often a secret of its own, so not in the repr.
    """

    scheme: str
    host: str
    port: int
    target: str = field(repr=False)

    @property
    def authority(self) -> str:
        """Host and port as the `Host` header carries them: without the scheme's own port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """What limits and breakers are counted by: `https://example.com`."""
        return f"{self.scheme}://{self.authority}"


def parse_endpoint_url(url: str, *, allow_http: bool) -> ParsedUrl:
    """Check a callback URL and take it apart.

    Nothing is decided about addresses here: a name such as `127.1` only shows where it leads
    when it is resolved.

    Parameters:
      url: As the operator wrote it; a fragment is dropped, since it is never sent.
      allow_http: Whether plain HTTP will do.

    Returns:
      The URL in its normal form.

    Raises:
      InvalidUrl: If it cannot be used; the message says why.
    """
    parts = _split(url)
    _check_scheme(parts.scheme, allow_http=allow_http)
    if "@" in parts.netloc:
        raise InvalidUrl("must not carry a user name or password: the signature authenticates")
    return ParsedUrl(
        scheme=parts.scheme,
        host=_normal_host(parts.hostname or ""),
        port=_port(parts),
        target=_target(parts),
    )


class SecretReference(Protocol):
    """A configured value that may live in the environment (`env:NAME`)."""

    def reveal(self, environ: Mapping[str, str]) -> str:
        """The value itself."""


class CallbackLike(Protocol):
    """What the configuration knows of one callback."""

    @property
    def url(self) -> SecretReference:
        """Where to send."""

    @property
    def secrets(self) -> Sequence[SecretReference]:
        """What to sign with: one, or several while rotating."""


@dataclass(frozen=True)
class CallbackEndpoint:
    """A callback that can be sent to.

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
    """The callbacks of the configuration, before their secrets are read.

    Parameters:
      callbacks: By name.
      allow_http: Whether plain HTTP will do.
    """

    def __init__(self, callbacks: Mapping[str, CallbackLike], *, allow_http: bool = False) -> None:
        self._callbacks = dict(callbacks)
        self._allow_http = allow_http

    @property
    def names(self) -> frozenset[str]:
        """The configured names; needs no secret, so the web tier may ask."""
        return frozenset(self._callbacks)

    def resolve(self, environ: Mapping[str, str]) -> dict[str, CallbackEndpoint]:
        """Read every endpoint's URL and secrets, and check them.

        Parameters:
          environ: The environment that `env:NAME` refers to.

        Returns:
          The endpoints by name.

        Raises:
          ValueError: If a URL or secret cannot be used; names the field, never the value.
        """
        return {
            name: self._endpoint(name, callback, environ)
            for name, callback in self._callbacks.items()
        }

    def _endpoint(
        self, name: str, callback: CallbackLike, environ: Mapping[str, str]
    ) -> CallbackEndpoint:
        url = callback.url.reveal(environ)
        try:
            parsed = parse_endpoint_url(url, allow_http=self._allow_http)
        except InvalidUrl as error:
            raise ValueError(f"callbacks.{name}.url {error}") from None
        secrets = _revealed_secrets(name, callback.secrets, environ)
        return CallbackEndpoint(name=name, url=url, origin=parsed.origin, secrets=secrets)


def _revealed_secrets(
    name: str, references: Sequence[SecretReference], environ: Mapping[str, str]
) -> tuple[str, ...]:
    if not references:
        raise ValueError(f"callbacks.{name}.secrets is empty: give at least one")
    secrets = tuple(reference.reveal(environ) for reference in references)
    for position, secret in enumerate(secrets):
        try:
            decode_secret(secret)
        except ValueError as error:
            raise ValueError(f"callbacks.{name}.secrets[{position}]: {error}") from None
    return secrets


def _split(url: str) -> SplitResult:
    if len(url) > MAX_URL_CHARACTERS:
        raise InvalidUrl(f"is longer than {MAX_URL_CHARACTERS} characters")
    # urlsplit drops tabs and newlines in silence, and clients disagree about backslashes.
    if any(ch.isspace() or not ch.isprintable() or ch == "\\" for ch in url):
        raise InvalidUrl("must not contain whitespace, control characters or backslashes")
    try:
        return urlsplit(url)
    except ValueError:
        raise InvalidUrl("is not a URL: write it as https://example.com/path") from None


def _check_scheme(scheme: str, *, allow_http: bool) -> None:
    if scheme == "http" and not allow_http:
        raise InvalidUrl("must begin with https:// (CALLBACK_ALLOW_HTTP=on permits http://)")
    if scheme not in _DEFAULT_PORTS:
        raise InvalidUrl("must begin with https://")


def _port(parts: SplitResult) -> int:
    try:
        port = parts.port
    except ValueError:
        raise InvalidUrl("has a port that is no number from 1 to 65535") from None
    if port == 0:
        raise InvalidUrl("has a port that is no number from 1 to 65535")
    return _DEFAULT_PORTS[parts.scheme] if port is None else port


def _normal_host(host: str) -> str:
    if ":" in host:
        return _ipv6_literal(host)
    name = _ascii_host(host).lower().removesuffix(".")
    if not _HOST.fullmatch(name) or ".." in name or len(name) > 253:
        raise InvalidUrl("has no valid host name")
    return name


def _ipv6_literal(host: str) -> str:
    try:
        address = IPv6Address(host)
    except ValueError:
        raise InvalidUrl("has no valid IPv6 address as its host") from None
    if address.scope_id is not None:
        raise InvalidUrl("must not name a network interface in its host")
    return str(address)


def _ascii_host(host: str) -> str:
    if _DEVIATIONS.search(host):
        raise InvalidUrl("has a host name that resolvers read differently: write its xn-- form")
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        raise InvalidUrl("has no valid host name") from None


def _target(parts: SplitResult) -> str:
    path = quote(parts.path or "/", safe=_SAFE)
    return f"{path}?{quote(parts.query, safe=_SAFE)}" if parts.query else path
