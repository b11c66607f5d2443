"""Which request heads are refused: those that a proxy in front could read differently.

Two readers that disagree about where a request ends, or where it goes, let a sender hide a second
request in the first (RFC 9112, section 11.2).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from itertools import chain
from typing import Final, NamedTuple

#: More than any proxy or provider sends; a signature header alone is rejected above 8 KB.
MAX_HEAD_BYTES: Final = 64 * 1024
#: A small header takes forty times its bytes in memory.
MAX_HEADERS: Final = 256
#: `: ` and a line break.
_HEADER_OVERHEAD: Final = 4

#: Of two of these, one reader takes the first and another the last.
_ONLY_ONCE: Final = (
    b"authorization",
    b"content-encoding",
    b"content-length",
    b"content-type",
    b"host",
    b"transfer-encoding",
)
#: Some readers decode these and normalize the path before they route; the routes here do not.
#: (An encoded slash or backslash may be part of an argument, such as a sender's event id:
#: `http/encoded_slashes.py`.)
_ENCODED_STEP: Final = re.compile(
    rb"\\|(?:/|%2f)(?:\.?%2e|%2e\.|%2e%2e)(?:/|%2f|$)",
    re.IGNORECASE,
)

Headers = Sequence[tuple[bytes, bytes]]


class Refusal(NamedTuple):
    """Why a request is refused before the application sees it.

    Parameters:
      status: Of the response.
      code: A stable code for programs.
      message: What is wrong and what to do.
    """

    status: HTTPStatus
    code: str
    message: str


MALFORMED: Final = Refusal(HTTPStatus.BAD_REQUEST, "bad_request", "Invalid HTTP request received.")
TOO_LARGE: Final = Refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "head_too_large",
    f"The request's headers are larger than {MAX_HEAD_BYTES} bytes or more than {MAX_HEADERS}.",
)
TOO_SLOW: Final = Refusal(
    HTTPStatus.REQUEST_TIMEOUT, "slow_head", "The request's headers did not arrive in time."
)


def check_head(version: str, url: bytes, headers: Headers) -> Refusal | None:
    """Return why the head of a request is refused, or None.

    Parameters:
      version: Of HTTP, such as `1.1`.
      url: The request target, as sent.
      headers: With names in lower case.
    """
    if _size(url, headers) > MAX_HEAD_BYTES:
        return TOO_LARGE
    names = {name for name, _ in headers}
    if len(names) < len(headers) and (repeated := _repeated(headers)):
        return _malformed(f"The header {repeated} is sent more than once: send it once.")
    if b"transfer-encoding" in names and not _is_framed_once(version, names, headers):
        return _malformed("Send Transfer-Encoding: chunked alone, or a Content-Length.")
    if (b"%" in url or b"\\" in url) and _ENCODED_STEP.search(url.partition(b"?")[0]):
        return _malformed("The path has a backslash, or encoded dots: send it as it is documented.")
    return None


def has_body(headers: Headers) -> bool:
    """Whether the headers announce a body.

    Parameters:
      headers: With names in lower case.
    """
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and bool(value.strip(b"0")))
        for name, value in headers
    )


def _size(url: bytes, headers: Headers) -> int:
    parts = sum(map(len, chain.from_iterable(headers)))
    return len(url) + parts + _HEADER_OVERHEAD * len(headers)


def _repeated(headers: Headers) -> str | None:
    names = [name for name, _ in headers]
    return next((name.decode() for name in _ONLY_ONCE if names.count(name) > 1), None)


def _is_framed_once(version: str, names: set[bytes], headers: Headers) -> bool:
    """Whether the body is chunked and nothing else (RFC 9112, section 6.1)."""
    encoding = next(value for name, value in headers if name == b"transfer-encoding")
    is_chunked = encoding.strip().lower() == b"chunked"
    return is_chunked and version == "1.1" and b"content-length" not in names


def _malformed(message: str) -> Refusal:
    return MALFORMED._replace(message=message)
