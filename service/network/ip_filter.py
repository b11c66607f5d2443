"""Which addresses callbacks and photo downloads may reach. Pure.

Their URLs were chosen by somebody else: without a filter they could reach the machine's own
network, its database and the metadata service of its cloud (SSRF).

`ipaddress.is_global` is deliberately not used: Python 3.11 considers multicast, 6to4, NAT64 and
site-local addresses global, and each of them has led into an internal network.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: IANA's special-purpose registry (RFC 6890 and later), multicast, and an address of Azure.
BLOCKED_V4: Final = tuple(
    IPv4Network(cidr)
    for cidr in (
        "0.0.0.0/8",  # "this network"
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, cloud metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",
        "168.63.129.16/32",  # WireServer: a public address that only answers inside Azure
    )
)
#: The only block of IPv6 that is routed on the Internet.
GLOBAL_V6: Final = IPv6Network("2000::/3")
BLOCKED_V6: Final = tuple(
    IPv6Network(cidr)
    for cidr in (
        "2001::/23",  # IETF assignments, Teredo among them
        "2001:db8::/32",
        "2002::/16",  # 6to4: wraps any IPv4 address
        "3fff::/20",
    )
)


class IpFilter:
    """Decides about resolved addresses, never about names.

    Parameters:
      allow: Networks that are allowed even if they are on the block list.
    """

    def __init__(self, allow: Sequence[Network] = ()) -> None:
        self._allow = tuple(allow)

    def allows(self, address: str | Address) -> bool:
        """Whether a connection may go to this address.

        Parameters:
          address: An address, or its canonical text as returned by a resolver; an IPv4 address
            mapped into IPv6 counts as the IPv4 address it reaches.

        Returns:
          False for a blocked address and for anything that is not an address.
        """
        try:
            reached = _unmapped(ip_address(address))
        except ValueError:
            return False
        return any(reached in network for network in self._allow) or _is_public(reached)


def parse_cidrs(text: str) -> tuple[Network, ...]:
    """Parse a list of networks such as `10.0.0.0/8,fd00::/8`.

    Parameters:
      text: Networks or single addresses, separated by commas; may be empty.

    Returns:
      The networks, in the same order.

    Raises:
      ValueError: An entry is not a network; the message names it.
    """
    entries = (entry.strip() for entry in text.split(","))
    return tuple(_parse_cidr(entry) for entry in entries if entry)


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in BLOCKED_V4)
    return address in GLOBAL_V6 and not any(address in network for network in BLOCKED_V6)


def _unmapped(address: Address) -> Address:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _parse_cidr(entry: str) -> Network:
    try:
        network = ip_network(entry, strict=False)
    except ValueError:
        raise ValueError(
            f"{entry!r} is not a network: write it as 10.0.0.0/8 or fd00::/8"
        ) from None
    if ip_interface(entry).ip != network.network_address:
        raise ValueError(f"{entry!r} has host bits set: did you mean {network}?")
    if _unmapped(network.network_address) != network.network_address:
        # Addresses are unmapped before they are compared, so such an entry would never match.
        raise ValueError(f"{entry!r} is IPv4 written as IPv6: write the IPv4 network")
    return network
