"""The IP filter: every range that leads to an internal network, in every spelling."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.network.ip_filter import IpFilter, parse_cidrs

#: The first and last address of every range that is not the public Internet: IANA's special-purpose
#: registry, multicast, and Azure's WireServer.
PRIVATE_RANGES = [
    (ipaddress.IPv4Address(first), ipaddress.IPv4Address(last))
    for first, last in (
        ("0.0.0.0", "0.255.255.255"),
        ("10.0.0.0", "10.255.255.255"),
        ("100.64.0.0", "100.127.255.255"),
        ("127.0.0.0", "127.255.255.255"),
        ("168.63.129.16", "168.63.129.16"),
        ("169.254.0.0", "169.254.255.255"),
        ("172.16.0.0", "172.31.255.255"),
        ("192.0.0.0", "192.0.0.255"),
        ("192.0.2.0", "192.0.2.255"),
        ("192.88.99.0", "192.88.99.255"),
        ("192.168.0.0", "192.168.255.255"),
        ("198.18.0.0", "198.19.255.255"),
        ("198.51.100.0", "198.51.100.255"),
        ("203.0.113.0", "203.0.113.255"),
        ("224.0.0.0", "255.255.255.255"),
    )
]

BLOCKED = [
    "0.0.0.0",
    "0.255.255.255",
    "10.0.0.0",
    "10.255.255.255",
    "100.64.0.0",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.0",
    "172.31.255.255",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "::",
    "::1",
    "::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:1ff:ffff::1",
    "2001:db8::1",
    "2002:a9fe:a9fe::",
    "3fff::1",
    "3fff:fff:ffff::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = [
    "1.1.1.1",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "168.63.129.17",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "2000::1",
    "2001:200::1",
    "2003::1",
    "2606:4700:4700::1111",
    "3fff:1000::1",
]


@pytest.mark.parametrize("address", BLOCKED)
def test_a_private_address_is_blocked(address: str) -> None:
    assert not IpFilter().allows(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed(address: str) -> None:
    assert IpFilter().allows(address)


@pytest.mark.parametrize("address", [a for a in BLOCKED + PUBLIC if ":" not in a])
def test_an_ipv4_address_mapped_into_ipv6_is_treated_as_ipv4(address: str) -> None:
    mapped = f"::ffff:{address}"

    assert IpFilter().allows(mapped) == IpFilter().allows(address)


@given(st.ip_addresses(v=4))
def test_every_ipv4_address_outside_the_private_ranges_is_allowed(
    address: ipaddress.IPv4Address,
) -> None:
    private = any(first <= address <= last for first, last in PRIVATE_RANGES)

    assert IpFilter().allows(address) is not private


@pytest.mark.parametrize(("first", "last"), PRIVATE_RANGES)
def test_a_private_range_is_blocked_from_its_first_to_its_last_address(
    first: ipaddress.IPv4Address, last: ipaddress.IPv4Address
) -> None:
    assert not IpFilter().allows(first)
    assert not IpFilter().allows(last)
    if int(first) > 0:
        assert IpFilter().allows(first - 1)
    if int(last) < 2**32 - 1:
        assert IpFilter().allows(last + 1)


@given(st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address))
def test_no_ipv6_address_outside_2000_3_is_allowed(address: ipaddress.IPv6Address) -> None:
    if int(address) >> 125 != 1 and address.ipv4_mapped is None:
        assert not IpFilter().allows(address)


@pytest.mark.parametrize("spelling", ["2130706433", "0x7f.1", "0x7f000001", "127.1", "0", "0177.1"])
def test_an_unusual_spelling_is_blocked_once_resolved(spelling: str) -> None:
    # Given a host that `ipaddress` does not parse
    assert not IpFilter().allows(spelling)

    # When the system resolves it
    resolved = {str(found[4][0]) for found in socket.getaddrinfo(spelling, 80)}

    # Then the address it leads to is blocked
    assert resolved
    assert not any(IpFilter().allows(address) for address in resolved)


@pytest.mark.parametrize("text", ["", "localhost", "10.0.0.1/8", "1.1.1.1 ", "[::1]"])
def test_text_that_is_not_an_address_is_blocked(text: str) -> None:
    assert not IpFilter(parse_cidrs("0.0.0.0/0, ::/0")).allows(text)


def test_the_allow_list_takes_precedence() -> None:
    ip_filter = IpFilter(parse_cidrs("10.0.0.0/8, 127.0.0.0/8,fd00::/8"))

    assert ip_filter.allows("10.1.2.3")
    assert ip_filter.allows("::ffff:10.1.2.3")
    assert ip_filter.allows("fd00::1")
    assert ip_filter.allows("1.1.1.1")
    assert not ip_filter.allows("192.168.0.1")


@pytest.mark.parametrize(
    "form", ["2002:a01:203::", "64:ff9b::a01:203", "64:ff9b:1::a01:203", "::10.1.2.3"]
)
def test_an_allowed_ipv4_network_does_not_allow_addresses_that_wrap_it(form: str) -> None:
    assert not IpFilter(parse_cidrs("10.0.0.0/8")).allows(form)


def test_a_list_of_networks_is_parsed_in_order() -> None:
    networks = parse_cidrs(" 10.0.0.0/8 ,,192.168.1.7, fd00::/8,")

    assert [str(network) for network in networks] == ["10.0.0.0/8", "192.168.1.7/32", "fd00::/8"]


def test_an_empty_text_is_no_network() -> None:
    assert parse_cidrs("") == ()


@pytest.mark.parametrize(
    ("entry", "advice"),
    [
        ("10.0.0.0/33", "10.0.0.0/8"),
        ("intranet", "10.0.0.0/8"),
        ("10.1.0.0/8", "did you mean 10.0.0.0/8"),
        ("::ffff:10.0.0.0/104", "IPv4 network"),
    ],
)
def test_an_invalid_network_is_named(entry: str, advice: str) -> None:
    with pytest.raises(ValueError, match=advice) as error:
        parse_cidrs(f"127.0.0.0/8,{entry}")

    assert repr(entry) in str(error.value)
