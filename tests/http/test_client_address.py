"""What one client controls: an IPv4 address, or a network of IPv6."""

from __future__ import annotations

import pytest

from service.http.client_address import UNKNOWN, client_address, client_network


@pytest.mark.parametrize(
    ("peer", "address", "network"),
    [
        ("203.0.113.7", "203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("2001:DB8:1:3::1", "2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::1", "fe80::/64"),
        ("a socket\n", UNKNOWN, UNKNOWN),
        ("", UNKNOWN, UNKNOWN),
    ],
)
def test_a_client_is_an_address_and_a_network(peer: str, address: str, network: str) -> None:
    scope = {"client": (peer, 1)}
    assert (client_address(scope), client_network(scope)) == (address, network)


def test_a_client_without_an_address_is_unknown() -> None:
    assert client_address({"client": None}) == client_network({}) == UNKNOWN
