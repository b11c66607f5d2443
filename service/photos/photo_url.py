"""Checks a photo's URL before its host is resolved. Pure."""

from __future__ import annotations

from ipaddress import ip_address

from service.network.ip_filter import IpFilter
from service.network.urls import InvalidUrl, parse_endpoint_url


def check_photo_url(url: str, ip_filter: IpFilter, *, allow_http: bool) -> None:
    """Check a photo's URL as far as possible without resolving its host.

    Parameters:
      url: As the caller wrote it.
      ip_filter: Decides which addresses may be reached.
      allow_http: Whether plain HTTP is allowed.

    Raises:
      ValueError: It cannot be used; the message says why and does not repeat the URL.
    """
    try:
        host = parse_endpoint_url(url, allow_http=allow_http).host
    except InvalidUrl as error:
        raise ValueError(f"the URL {error}") from None
    if _is_address(host) and not ip_filter.allows(host):
        raise ValueError("the URL points to an address that this service may not reach")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
