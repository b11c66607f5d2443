"""URLs that the service calls: checked, taken apart and brought into one normal form. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

MAX_URL_CHARACTERS: Final = 2048

_DEFAULT_PORTS: Final[Mapping[str, int]] = {"https": 443, "http": 80}
_HOST: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?")
#: With these characters, IDNA 2003 and 2008 lead to different hosts (UTS 46, section 4).
_DEVIATIONS: Final = re.compile("[\u00df\u03c2\u200c\u200d]")
#: What a path or a query may hold unescaped (RFC 3986), and the escape itself.
_SAFE: Final = "/:@!$&'()*+,;=-._~%?[]"


class InvalidUrl(ValueError):
    """A URL that cannot be called; the message does not repeat it."""


@dataclass(frozen=True)
class ParsedUrl:
    """A URL in its normal form, in parts.

    Parameters:
      scheme: `https` or `http`.
      host: In ASCII (IDNA for other scripts), lower case; an IPv6 literal has no brackets.
      port: The default port of the scheme if the URL has none.
      target: Path and query, in ASCII; often secret, so not in the repr.
    """

    scheme: str
    host: str
    port: int
    target: str = field(repr=False)

    @property
    def authority(self) -> str:
        """Host and port as in the `Host` header: without the default port of the scheme."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """What limits and circuit breakers are keyed by: `https://example.com`."""
        return f"{self.scheme}://{self.authority}"


def parse_endpoint_url(url: str, *, allow_http: bool) -> ParsedUrl:
    """Check a URL and split it into its parts.

    Addresses are not checked here: where a name such as `127.1` leads is only known once it is
    resolved.

    Parameters:
      url: As the operator or caller wrote it; the fragment is dropped, since it is never sent.
      allow_http: Whether plain HTTP is allowed.

    Returns:
      The URL in its normal form.

    Raises:
      InvalidUrl: It cannot be used; the message says why.
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


def _split(url: str) -> SplitResult:
    if len(url) > MAX_URL_CHARACTERS:
        raise InvalidUrl(f"is longer than {MAX_URL_CHARACTERS} characters")
    # urlsplit silently drops tabs and newlines, and clients disagree about backslashes.
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
        raise InvalidUrl("has a port that is not a number from 1 to 65535") from None
    if port == 0:
        raise InvalidUrl("has a port that is not a number from 1 to 65535")
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
