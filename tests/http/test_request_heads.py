"""Which heads are refused."""

from __future__ import annotations

import pytest

from service.http.request_heads import MAX_HEAD_BYTES, TOO_LARGE, Headers, check_head, has_body

HOST = (b"host", b"x")


def refused(*headers: tuple[bytes, bytes], url: bytes = b"/jobs", version: str = "1.1") -> str:
    """The code with which a head is refused; empty if it is not."""
    refusal = check_head(version, url, [HOST, *headers])
    return refusal.code if refusal else ""


@pytest.mark.parametrize(
    "name",
    [b"host", b"authorization", b"content-length", b"content-encoding", b"content-type"],
)
def test_what_two_readers_could_read_differently_is_sent_once(name: bytes) -> None:
    header = (name, b"1")
    assert refused(header, header) == "bad_request"
    assert refused(*([] if name == b"host" else [header])) == ""


def test_other_headers_may_be_repeated() -> None:
    assert refused((b"x-forwarded-for", b"1.2.3.4"), (b"x-forwarded-for", b"1.2.3.4")) == ""


@pytest.mark.parametrize(
    "value",
    [b"gzip, chunked", b"chunked, chunked", b"identity", b"", b"gzip", b"xchunked", b"chunked;q=1"],
)
def test_only_chunked_is_a_transfer_encoding(value: bytes) -> None:
    assert refused((b"transfer-encoding", value)) == "bad_request"


def test_chunked_is_accepted_in_any_case_alone_and_since_http_1_1() -> None:
    chunked = (b"transfer-encoding", b" Chunked ")
    assert refused(chunked) == ""
    assert refused(chunked, (b"content-length", b"5")) == "bad_request"
    assert refused(chunked, chunked) == "bad_request"
    assert refused(chunked, version="1.0") == "bad_request"


@pytest.mark.parametrize(
    "url",
    [
        b"/webhooks/%2e%2e/jobs",
        b"/%2E/jobs",
        b"/.%2e/jobs",
        b"/jobs/%2e%2e",
        b"/webhooks\\stripe",
        b"http://x/%2e%2e/jobs",
    ],
)
def test_encoded_steps_in_a_path_are_refused(url: bytes) -> None:
    assert refused(url=url) == "bad_request"


@pytest.mark.parametrize(
    "url",
    [
        b"/users/some%2ehandle",
        b"/users/%2e%2e%2e",
        b"/users/https%3A%2F%2Fwww.instagram.com%2Fsome.handle%2F",
        b"/jobs?to=%2e%2e%2f%5c",
        b"/jobs/..x",
    ],
)
def test_dots_and_slashes_within_an_argument_are_accepted(url: bytes) -> None:
    assert refused(url=url) == ""


def test_a_head_is_measured_as_a_whole() -> None:
    filler = b"x" * (MAX_HEAD_BYTES // 2)
    assert check_head("1.1", b"/" + filler, [HOST]) is None
    assert check_head("1.1", b"/" + filler, [(b"x", filler)]) is TOO_LARGE


@pytest.mark.parametrize(
    ("headers", "announced"),
    [
        ([], False),
        ([(b"content-length", b"0")], False),
        ([(b"content-length", b"00")], False),
        ([(b"content-length", b"10")], True),
        ([(b"transfer-encoding", b"chunked")], True),
    ],
)
def test_a_body_is_announced_by_its_length_or_its_encoding(
    headers: Headers, announced: bool
) -> None:
    assert has_body(headers) is announced
