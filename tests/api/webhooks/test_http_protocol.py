"""The HTTP protocol: connections after an error, odd bytes, ambiguous framing."""

from __future__ import annotations

import json

import pytest

from service.http.request_heads import MAX_HEAD_BYTES
from tests.support.web import MAX_BODY, WebHarness, order, read_response
from tests.support.webhook_signatures import SECRETS, signed_headers

BODY = order("stripe")


def request(path: str, body: bytes, *lines: str, close: bool = False) -> bytes:
    head = [f"POST {path} HTTP/1.1", "Host: x", *lines, f"Content-Length: {len(body)}"]
    if close:
        head.append("Connection: close")
    return "\r\n".join([*head, "", ""]).encode() + body


def signed(body: bytes = BODY) -> list[str]:
    headers = signed_headers("stripe", body, SECRETS["stripe"])
    return [f"{name}: {value}" for name, value in headers.items()]


SMUGGLED = request("/webhooks/stripe", BODY, *signed())


def test_a_connection_stays_open_after_an_invalid_signature(web: WebHarness) -> None:
    with web.connect() as connection:
        connection.sendall(request("/webhooks/stripe", BODY))
        assert read_response(connection)[0] == 400
        connection.sendall(request("/webhooks/stripe", BODY, *signed()))
        assert read_response(connection)[0] == 202


def test_pipelined_requests_get_their_responses_in_order(web: WebHarness) -> None:
    with web.connect() as connection:
        connection.sendall(
            request("/webhooks/stripe", BODY) + request("/webhooks/stripe", BODY, *signed())
        )
        assert read_response(connection)[0] == 400
        assert read_response(connection)[0] == 202


@pytest.mark.parametrize(
    ("path", "status"),
    [("/webhooks/nope", 404), ("/webhooks/unset", 503), ("/webhooks/stripe", 413), ("/jobs", 413)],
)
def test_a_rejected_body_is_never_parsed_as_a_request(
    web: WebHarness, path: str, status: int
) -> None:
    # Given a body that is rejected unread and contains a correctly signed request
    filler = b"x" * (5 * MAX_BODY)
    with web.connect() as connection:
        connection.sendall(request(path, filler + SMUGGLED))
        assert read_response(connection)[0] == status
        assert connection.recv(1) == b""
    assert web.store.zcard("hg:events") == 0


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_the_body_of_a_wrong_method_is_never_parsed_as_a_request(
    web: WebHarness, method: str
) -> None:
    with web.connect() as connection:
        wrong = request("/webhooks/stripe", SMUGGLED).replace(b"POST", method.encode(), 1)
        connection.sendall(wrong + request("/webhooks/stripe", BODY))
        assert read_response(connection)[0] == 405
        assert read_response(connection)[0] == 400
    assert web.store.zcard("hg:events") == 0


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 0x10",
        "Content-Length: \xb2",
        "Transfer-Encoding: chunked, identity",
        "Content-Length: " + "9" * 40,
    ],
)
@pytest.mark.parametrize("path", ["/webhooks/stripe", "/jobs"])
def test_ambiguous_framing_is_rejected_and_closes_the_connection(
    web: WebHarness, path: str, framing: str
) -> None:
    with web.connect() as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n"
        connection.sendall(head.encode("latin-1") + b"hello" + SMUGGLED)
        status, headers, body = read_response(connection)
        assert (status, headers["connection"]) == (400, "close")
        assert json.loads(body)["error"]["code"] == "bad_request"
    assert web.store.zcard("hg:events") == 0


@pytest.mark.parametrize("piece", [b"y" * 1000, b"y: z\r\n" * 100, b"\r\ny:" + b"\t" * 500])
def test_endless_headers_are_rejected(web: WebHarness, piece: bytes) -> None:
    with web.connect() as connection:
        connection.sendall(b"POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nX-A: ")
        with pytest.raises(ConnectionError):
            connection.sendall(piece * 40_000)


def test_headers_that_are_too_large_get_an_error_body(web: WebHarness) -> None:
    with web.connect() as connection:
        # Given headers that the server has started to read
        whole = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        connection.sendall(whole + whole[:-2] + b"X-A: ")
        assert read_response(connection)[0] == 200

        # When
        connection.sendall(b"y" * (MAX_HEAD_BYTES + 1))

        # Then
        status, headers, body = read_response(connection)
        assert (status, headers["connection"]) == (431, "close")
        assert json.loads(body)["error"]["code"] == "head_too_large"


def test_large_consecutive_bodies_do_not_count_as_headers(web: WebHarness) -> None:
    whole = request("/webhooks/stripe", b"x" * MAX_BODY)
    with web.connect() as connection:
        for _ in range(5):
            connection.sendall(whole + whole[:100])
            assert read_response(connection)[0] == 400
            connection.sendall(whole[100:])
            assert read_response(connection)[0] == 400


def test_headers_that_are_not_utf8_are_harmless(web: WebHarness) -> None:
    with web.connect() as connection:
        raw = request("/webhooks/stripe", BODY, *signed(), "X-Odd: \xff\xfe", "User-Agent: \xc3(")
        connection.sendall(raw.decode().encode("latin-1"))
        assert read_response(connection)[0] == 202


@pytest.mark.parametrize("value", ["\xff", "Bearer \xff\xfe", "Bearer", "Bearer  ", "Basic x"])
def test_invalid_credentials_are_rejected(web: WebHarness, value: str) -> None:
    with web.connect() as connection:
        raw = request("/jobs", b"{}", f"Authorization: {value}").decode()
        connection.sendall(raw.encode("latin-1"))
        assert read_response(connection)[0] == 401


def test_expect_continue_is_answered_only_if_the_body_is_wanted(
    web: WebHarness,
) -> None:
    expecting = "Expect: 100-continue"
    with web.connect() as connection:
        whole = request("/webhooks/stripe", BODY, *signed(), expecting)
        connection.sendall(whole.removesuffix(BODY))
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(BODY)
        assert read_response(connection)[0] == 202
    with web.connect() as connection:
        head = f"POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\n{expecting}\r\n"
        connection.sendall(f"{head}Content-Length: 999999\r\n\r\n".encode())
        assert read_response(connection)[0] == 413
