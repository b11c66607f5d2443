"""Webhooks that are not authentic: rejected with a constant response, and without a trace."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.support.web import WebHarness, order, read_response
from tests.support.webhook_signatures import SECRETS, signed_headers

BODY = order("stripe")
REFUSED = {
    "error": {
        "code": "invalid_signature",
        "message": "The signature is invalid: check the source's signing secret.",
    }
}
NOW = int(time.time())


def mac(timestamp: object = NOW, secret: str = SECRETS["stripe"]) -> str:
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + BODY, hashlib.sha256).hexdigest()


def post(web: WebHarness, *signatures: bytes | str, source: str = "stripe") -> httpx.Response:
    headers = [
        (b"Stripe-Signature", value.encode("latin-1") if isinstance(value, str) else value)
        for value in signatures
    ]
    return web.http.post(f"/webhooks/{source}", content=BODY, headers=headers)


@pytest.fixture(autouse=True)
def unchanged(web: WebHarness) -> Iterator[None]:
    """Nothing in this file may change the content of Redis."""
    web.deliver("stripe", order("stripe", "evt_known"))
    before = web.contents()
    yield
    assert web.contents() == before


MALFORMED = {
    "empty": [""],
    "twice": [f"t={NOW},v1={mac()}", f"t={NOW},v1={mac()}"],
    "no time": [f"v1={mac()}"],
    "no mac": [f"t={NOW}"],
    "no equals": ["t,v1"],
    "garbage": ["hello"],
    "over 8 KB": [f"t={NOW},v1={mac()}," + "x=" + "0" * 9000],
    "over 1000 macs": [f"t={NOW}," + ",".join(["v1=0"] * 1001)],
    "v0 only": [f"t={NOW},v0={mac()}"],
    "wrong mac": [f"t={NOW},v1={'0' * 64}"],
    "another secret": [f"t={NOW},v1={mac(secret='whsec_of_somebody_else')}"],
    "upper case": [f"t={NOW},v1={mac().upper()}"],
    "cut short": [f"t={NOW},v1={mac()[:-1]}"],
}


def test_a_missing_signature_is_rejected(web: WebHarness) -> None:
    response = post(web)
    assert (response.status_code, response.json()) == (400, REFUSED)


@pytest.mark.parametrize("signatures", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_or_wrong_signature_is_rejected(web: WebHarness, signatures: list[str]) -> None:
    response = post(web, *signatures)
    assert (response.status_code, response.json()) == (400, REFUSED)


@pytest.mark.parametrize("value", [b"\xe9", b"\xff\xfe", "٣".encode(), b"\xc3("])
def test_a_non_ascii_mac_is_rejected(web: WebHarness, value: bytes) -> None:
    response = post(web, f"t={NOW},v1=".encode() + value + f",v1={mac()}".encode())
    assert (response.status_code, response.json()) == (400, REFUSED)


TIMES = {
    "stale": str(NOW - 301),
    "ahead": str(NOW + 86_400),
    "negative": "-1",
    "signed": f"+{NOW}",
    "spaced": f" {NOW}",
    "underscored": "1_000",
    "a float": f"{NOW}.0",
    "huge": "9" * 400,
    "as long as a time may be": "9" * 20,
    "empty": "",
}


@pytest.mark.parametrize("timestamp", TIMES.values(), ids=TIMES.keys())
def test_a_stale_future_or_invalid_time_is_rejected(web: WebHarness, timestamp: str) -> None:
    response = post(web, f"t={timestamp},v1={mac(timestamp)}")
    assert (response.status_code, response.json()) == (400, REFUSED)


def test_digits_of_another_script_are_not_a_time(web: WebHarness) -> None:
    response = post(web, b"t=" + "١٢٣".encode() + f",v1={mac()}".encode())
    assert (response.status_code, response.json()) == (400, REFUSED)


@pytest.mark.parametrize("source", ["empty", "unset"])
def test_a_source_without_a_secret_is_503_even_for_an_empty_key(
    web: WebHarness, source: str
) -> None:
    empty_key = hmac.new(b"", f"{NOW}.".encode() + BODY, hashlib.sha256).hexdigest()
    closed = post(web, f"t={NOW},v1={empty_key}", source=source)
    assert closed.status_code == 503
    assert closed.json()["error"]["code"] == "source_without_secret"
    assert int(closed.headers["Retry-After"]) > 0


UNKNOWN = (
    *(
        "nope",
        "STRIPE",
        "stripe.",
        "..",
        "%00",
        "%FF%FE",
        "%ED%A0%80",
        "a%20b",
        "%C3%A9",
        "stripe%0A",
    ),
    *("x" * 5000, "*", "hg:event", "{source}", "%7Bsource%7D", "stripe;x", "%25"),
)


@pytest.mark.parametrize("source", UNKNOWN, ids=range(len(UNKNOWN)))
def test_an_unknown_source_is_not_found_whatever_its_name(web: WebHarness, source: str) -> None:
    headers = signed_headers("stripe", BODY, SECRETS["stripe"])
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"POST /webhooks/{source} HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: {len(BODY)}"
    with web.connect() as connection:
        connection.sendall(f"{request}\r\n\r\n".encode() + BODY)
        status, _, body = read_response(connection)
    assert status == 404
    assert body == b'{"error":{"code":"unknown_source","message":"No such source is configured."}}'


@pytest.mark.parametrize(
    "path", ["/webhooks", "/webhooks/", "/webhooks/stripe/more", "//webhooks/stripe"]
)
def test_a_path_without_a_source_is_not_found(web: WebHarness, path: str) -> None:
    headers = signed_headers("stripe", BODY, SECRETS["stripe"])
    response = web.http.post(
        httpx.URL(str(web.http.base_url).rstrip("/") + path), content=BODY, headers=headers
    )
    assert response.status_code == 404
    assert set(response.json()["error"]) == {"code", "message"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/webhooks/stripe", "/webhooks/stripe/"])
def test_another_method_is_not_allowed(web: WebHarness, method: str, path: str) -> None:
    response = web.http.request(method, path)
    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"
    if method != "HEAD":
        assert response.json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, identity", "GZIP"])
def test_an_encoded_body_is_rejected(web: WebHarness, encoding: str) -> None:
    response = web.deliver("stripe", order("stripe"), headers={"Content-Encoding": encoding})
    assert response.status_code == 415
    assert response.json()["error"]["code"] == "unsupported_encoding"


@pytest.mark.parametrize("scheme", SECRETS)
def test_every_scheme_rejects_a_changed_body(web: WebHarness, scheme: str) -> None:
    body = order(scheme)
    headers = signed_headers(scheme, body, SECRETS[scheme])
    response = web.http.post(f"/webhooks/{scheme}", content=body + b" ", headers=headers)
    assert (response.status_code, response.json()) == (400, REFUSED)


@pytest.mark.parametrize("scheme", SECRETS)
def test_every_scheme_rejects_missing_headers(web: WebHarness, scheme: str) -> None:
    response = web.http.post(f"/webhooks/{scheme}", content=order(scheme))
    assert (response.status_code, response.json()) == (400, REFUSED)
