"""URLs that the service calls: normalized, or rejected."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.network.urls import InvalidUrl, parse_endpoint_url


@pytest.mark.parametrize(
    ("url", "origin", "target"),
    [
        ("https://example.com", "https://example.com", "/"),
        ("HTTPS://EXAMPLE.com:443/a", "https://example.com", "/a"),
        ("https://example.com:8443/a?b=c", "https://example.com:8443", "/a?b=c"),
        ("https://example.com./a", "https://example.com", "/a"),
        ("https://example.com:/a", "https://example.com", "/a"),
        ("https://example.com?b", "https://example.com", "/?b"),
        ("https://example.com/a#frag", "https://example.com", "/a"),
        ("https://example.com/ä%20?ö=%C3%BC", "https://example.com", "/%C3%A4%20?%C3%B6=%C3%BC"),
        ("https://bücher.example/", "https://xn--bcher-kva.example", "/"),
        ("https://例え。テスト/", "https://xn--r8jz45g.xn--zckzah", "/"),
        ("https://my_host/", "https://my_host", "/"),
        ("https://192.0.2.1/", "https://192.0.2.1", "/"),
        ("https://127.1/", "https://127.1", "/"),
        ("https://[2001:DB8:0::1]:8443/", "https://[2001:db8::1]:8443", "/"),
    ],
)
def test_a_url_is_normalized(url: str, origin: str, target: str) -> None:
    parsed = parse_endpoint_url(url, allow_http=False)

    assert (parsed.origin, parsed.target) == (origin, target)


def test_a_url_is_split_for_connecting() -> None:
    parsed = parse_endpoint_url("https://[2001:db8::1]/", allow_http=False)

    assert (parsed.host, parsed.port) == ("2001:db8::1", 443)
    assert parsed.authority == "[2001:db8::1]"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "https://"),
        ("example.com/hook", "https://"),
        ("//example.com/hook", "https://"),
        ("ftp://example.com", "https://"),
        ("file:///etc/passwd", "https://"),
        ("http://example.com", "CALLBACK_ALLOW_HTTP"),
        ("https://", "host"),
        ("https:///hook", "host"),
        ("https://.example.com", "host"),
        ("https://exa..mple.com", "host"),
        ("https://-", "host"),
        ("https://ex%61mple.com", "host"),
        ("https://exa,mple.com", "host"),
        (f"https://{'a' * 64}.com", "host"),
        (f"https://{'a.' * 130}com", "host"),
        ("https://straße.example", "xn--"),
        ("https://[::1", "not a URL"),
        ("https://[fe80::1%25eth0]/", "interface"),
        ("https://[::zz]/", "not a URL|IPv6"),
        ("https://user@example.com", "user name"),
        ("https://user:pass@example.com", "user name"),
        ("https://@example.com", "user name"),
        ("https://example.com:0/", "port"),
        ("https://example.com:65536/", "port"),
        ("https://example.com:https/", "port"),
        (" https://example.com", "whitespace"),
        ("https://exam\tple.com", "whitespace"),
        ("https://example.com/\r\nx-injected: 1", "whitespace"),
        ("https://example.com/\x00", "control"),
        ("https://example.com/\u2028", "whitespace"),
        ("https://example.com\\@evil.example", "backslashes"),
        ("https://example.com/" + "a" * 2048, "longer"),
    ],
)
def test_an_unusable_url_is_rejected_with_the_reason(url: str, reason: str) -> None:
    with pytest.raises(InvalidUrl, match=reason):
        parse_endpoint_url(url, allow_http=False)


def test_plain_http_is_accepted_if_allowed() -> None:
    parsed = parse_endpoint_url("http://localhost:8000/hook", allow_http=True)

    assert parsed.origin == "http://localhost:8000"
    assert parse_endpoint_url("http://a/", allow_http=True).port == 80


@given(st.text(max_size=60) | st.text(max_size=40).map(lambda rest: f"https://{rest}"))
def test_any_text_is_either_a_valid_url_or_rejected(url: str) -> None:
    try:
        parsed = parse_endpoint_url(url, allow_http=True)
    except InvalidUrl:
        return
    assert parsed.target.isascii()
    assert parsed.target.startswith("/")
    assert parsed.authority.isascii()
    assert 1 <= parsed.port <= 65535


@given(st.text(max_size=40).map(lambda rest: f"https://{rest}"))
def test_normalizing_is_idempotent(url: str) -> None:
    try:
        parsed = parse_endpoint_url(url, allow_http=True)
    except InvalidUrl:
        return
    assert parse_endpoint_url(parsed.origin + parsed.target, allow_http=True) == parsed


def test_a_parsed_urls_repr_hides_its_path() -> None:
    parsed = parse_endpoint_url("https://hooks.example/T0KEN?k=v", allow_http=False)

    assert "T0KEN" not in repr(parsed)
