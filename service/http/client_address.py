"""The address that a request comes from.

Behind a proxy it is the proxy's, unless uvicorn is told to trust what the proxy says: with
FORWARDED_ALLOW_IPS, addresses or networks whose X-Forwarded-For counts (by default 127.0.0.1).
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final

from starlette.types import Scope

UNKNOWN: Final = "unknown"
#: What one customer of a provider has (RFC 6177): counting single addresses would count nothing.
_V6_PREFIX_BITS: Final = 64


def client_address(scope: Scope) -> str:
    """Return the address as text, an IPv4 address mapped into IPv6 as IPv4.

    Parameters:
      scope: Of a request or WebSocket.
    """
    client = scope.get("client")
    return _parse(client[0])[0] if client else UNKNOWN


def client_network(scope: Scope) -> str:
    """Return what one client controls: an IPv4 address, or an IPv6 network of 64 bits.

    Parameters:
      scope: Of a request or WebSocket.
    """
    client = scope.get("client")
    return _parse(client[0])[1] if client else UNKNOWN


@lru_cache(maxsize=1024)
def _parse(text: str) -> tuple[str, str]:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return UNKNOWN, UNKNOWN
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if isinstance(address, IPv6Address):
        return str(address), str(IPv6Network((address, _V6_PREFIX_BITS), strict=False))
    return str(address), str(address)
