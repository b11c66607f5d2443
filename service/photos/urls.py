"""Where a photo may be fetched from, as far as its URL tells. Pure."""

from __future__ import annotations

from ipaddress import ip_address

from service.deliveries.endpoints import InvalidUrl, parse_endpoint_url
from service.network.ip_filter import IpFilter


def check_photo_url(url: str, guard: IpFilter, *, allow_http: bool) -> None:
    """Check what can be told of a photo's URL before its name is resolved.

    Parameters:
      url: As the caller wrote it.
      guard: Decides which addresses may be reached.
      allow_http: Whether plain HTTP will do.

    Raises:
      ValueError: It cannot be used; the message says why and does not repeat it.
    """
    try:
        host = parse_endpoint_url(url, allow_http=allow_http).host
    except InvalidUrl as error:
        raise ValueError(f"the URL {error}") from None
    if _is_address(host) and not guard.allows(host):
        raise ValueError("the URL leads to an address that may not be reached from here")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
