"""Paths that two readers could route differently, and bodies where none is read."""

from __future__ import annotations

import base64

import pytest

from service.http.body_limit import MAX_API_BODY
from tests.support.web import API_KEY, WebHarness, order, read_response
from tests.support.webhook_signatures import SECRETS, signed_headers

BODY = order("stripe")
BEARER = f"Authorization: Bearer {API_KEY}\r\n"


def status(web: WebHarness, method: str, path: str, lines: str = "", body: bytes = b"") -> int:
    """The status of a request whose path is sent as it is."""
    with web.connect() as connection:
        head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        return read_response(connection)[0]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/jobs%2Fjob_x"),
        ("GET", "/jobs/job_x%2ftimeline"),
        ("POST", "/jobs/job_x%2Fcancel"),
        ("POST", "/users/some.handle%2Ffollowers"),
        ("GET", "/accounts%2fshop"),
        ("GET", "/%2e%2e/metrics"),
        ("DELETE", "/suppressions%2Fsome.handle"),
    ],
)
def test_a_path_that_depends_on_how_it_is_decoded_is_refused(
    web: WebHarness, method: str, path: str
) -> None:
    assert status(web, method, path, BEARER) == 400


@pytest.mark.parametrize(
    "path", ["/webhooks%2Fstripe", "/webhooks/stripe%2F", "/webhooks%2fstripe/"]
)
def test_a_webhook_has_one_path(web: WebHarness, path: str) -> None:
    headers = signed_headers("stripe", BODY, SECRETS["stripe"])
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    assert status(web, "POST", path, lines, BODY) == 400
    assert web.store.zcard("hg:events") == 0
    assert status(web, "POST", "/webhooks/stripe", lines, BODY) == 202


def test_an_encoded_link_is_an_argument(web: WebHarness) -> None:
    path = "/users/https%3A%2F%2Fwww.instagram.com%2Fsome.handle%2F?wait=0"
    assert status(web, "GET", path, BEARER) == 202


def test_a_socket_has_one_path(web: WebHarness) -> None:
    key = base64.b64encode(bytes(16)).decode()
    upgrade = (
        f"{BEARER}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {key}\r\n\r\n"
    )
    for path, answer in (("/live", b"101"), ("/jobs%2Fjob_x/live", b"403")):
        with web.connect() as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{upgrade}".encode())
            assert connection.recv(12) == b"HTTP/1.1 " + answer


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize(
    "path", ["/jobs", "/nowhere", "/webhooks/stripe", "/metrics", "/webhooks/a/b"]
)
def test_a_body_is_bounded_on_every_method_and_path(
    web: WebHarness, method: str, path: str
) -> None:
    assert status(web, method, path, BEARER, bytes(MAX_API_BODY + 1)) == 413
    assert status(web, method, path, BEARER, b"hello") not in (408, 413, 500)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_body_that_stops_is_not_waited_for(web: WebHarness, method: str) -> None:
    with web.connect() as connection:
        connection.sendall(
            f"{method} /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n".encode()
        )
        assert read_response(connection)[0] == 408


@pytest.mark.parametrize("name", ["Host", "Authorization", "Content-Encoding", "Content-Length"])
def test_a_header_that_decides_is_sent_once(web: WebHarness, name: str) -> None:
    values = {"Host": "x", "Authorization": f"Bearer {API_KEY}", "Content-Encoding": "identity"}
    lines = f"{name}: {values.get(name, '2')}\r\n"
    twice = lines if name in ("Host", "Content-Length") else 2 * lines
    assert status(web, "POST", "/jobs", twice, b"{}") == 400


@pytest.mark.parametrize("encoding", ["gzip, chunked", "identity", "chunked, chunked"])
def test_no_other_transfer_encoding_is_accepted(web: WebHarness, encoding: str) -> None:
    with web.connect() as connection:
        head = f"POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {encoding}\r\n\r\n"
        connection.sendall(head.encode() + b"0\r\n\r\n")
        assert read_response(connection)[0] == 400
