"""Which proxies an account may be given."""

from __future__ import annotations

from urllib.parse import urlsplit


def check_proxy(url: str) -> str:
    """Pass a proxy URL on, if both of the client's transports can use it (httpx has no SOCKS).

    Parameters:
      url: The proxy, with its user name and password where it wants them.

    Raises:
      ValueError: It cannot be used; the message does not carry it.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("must be an http:// or https:// proxy URL")
    return url
