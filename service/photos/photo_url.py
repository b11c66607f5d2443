"""Checks a photo's URL before anything is resolved or fetched. Pure."""

from __future__ import annotations

from ipaddress import ip_address

from service.network.ip_filter import IpFilter
from service.network.urls import InvalidUrl, parse_endpoint_url


def check_photo_url(url: str, ip_filter: IpFilter, *, allow_http: bool) -> None:
    """Check everything about a photo's URL that is known before its name is resolved.

    Parameters:
      url: As the caller wrote it.
      ip_filter: Decides which addresses may be reached.
      allow_http: Whether plain HTTP is allowed.

    Raises:
      ValueError: It cannot be used; the message says why and does not repeat it.
    """
    try:
        host = parse_endpoint_url(url, allow_http=allow_http).host
    except InvalidUrl as error:
        raise ValueError(f"the URL {error}") from None
    if _is_address(host) and not ip_filter.allows(host):
        raise ValueError("the URL leads to an address that may not be reached from here")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
