"""Which proxy URLs an account may use."""

from __future__ import annotations

from urllib.parse import urlsplit


def check_proxy(url: str) -> str:
    """Check that both transports of the Instagram client can use a proxy (httpx has no SOCKS).

    Parameters:
      url: The proxy, with its user name and password if it needs them.

    Returns:
      The URL, unchanged.

    Raises:
      ValueError: It cannot be used; the message does not repeat it.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("must be an http:// or https:// proxy URL")
    return url
