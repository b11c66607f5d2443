"""The result of one attempt to deliver a callback, and what it means for the delivery. Pure.

Every result has a stable code for programs and a generic sentence for people. Neither contains an
address, so that callbacks cannot be used to explore the host's network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal

AttemptOutcome = Literal["delivered", "retry", "gone", "final", "not_counted"]

MAX_BODY_BYTES: Final = 4096

#: Outcome of an attempt that got no response, by code. `not_counted`: it failed on our side, and is
#: made again.
_OUTCOMES: Final[Mapping[str, AttemptOutcome]] = {
    "blocked_address": "final",
    "connection_refused": "retry",
    "connection_reset": "retry",
    "dns_failed": "retry",
    "internal_error": "not_counted",
    "interrupted": "not_counted",
    "invalid_url": "final",
    "local_resources": "not_counted",
    "origin_busy": "not_counted",
    "protocol_error": "retry",
    "timeout": "retry",
    "tls_failed": "retry",
    "unknown_callback": "not_counted",
    "unreachable": "retry",
}

_MESSAGES: Final[Mapping[str, str]] = {
    "blocked_address": "The callback URL points to an address that callbacks may not reach.",
    "connection_refused": "The endpoint refused the connection.",
    "connection_reset": "The endpoint closed the connection without a response.",
    "dns_failed": "The endpoint's host name could not be resolved.",
    "internal_error": "Heliograph failed, not the endpoint; the attempt does not count.",
    "interrupted": "The worker stopped before the attempt ended; the attempt does not count.",
    "invalid_url": "The callback URL is not valid.",
    "local_resources": "This worker could not open a connection; the attempt does not count.",
    "origin_busy": "Too many callbacks are waiting for this origin; the attempt does not count.",
    "protocol_error": "The endpoint's response was not valid HTTP.",
    "redirect": "The endpoint responded with a redirect; callbacks never follow redirects.",
    "timeout": "The endpoint did not respond in time.",
    "tls_failed": "The TLS handshake failed, or the endpoint's certificate is not valid.",
    "unknown_callback": "This worker's configuration has no callback of this name.",
    "unreachable": "The endpoint could not be reached.",
}


@dataclass(frozen=True)
class AttemptResult:
    """The result of one attempt.

    Parameters:
      outcome: What follows: nothing (`delivered`), another attempt (`retry`), disabling the
        endpoint (`gone`), giving up (`final`), or another attempt without counting this one
        (`not_counted`).
      code: A stable code: `http_500`, `redirect`, `timeout`, ...
      status: The HTTP status; None if there was no response.
      retry_after_ms: The delay that the endpoint asked for.
      body: The beginning of the response body, at most 4 KiB, safe to print.
      duration_ms: From the start of the request to the status line or the failure.
    """

    outcome: AttemptOutcome
    code: str
    status: int | None = None
    retry_after_ms: int | None = None
    body: str = ""
    duration_ms: int = 0

    @property
    def message(self) -> str:
        """The reason in one sentence, without an address."""
        return _MESSAGES.get(self.code, f"The endpoint responded with status {self.status}.")


def classify_status(
    status: int, retry_after_ms: int | None = None, *, body: str = "", duration_ms: int = 0
) -> AttemptResult:
    """The result of an attempt that got a response.

    Parameters:
      status: The HTTP status; only a 2xx is a delivery, whatever its body.
      retry_after_ms: The response's `Retry-After`; kept only if a retry follows.
      body: The beginning of the response body.
      duration_ms: From the start of the request to the status line.
    """
    outcome = _outcome_of(status)
    return AttemptResult(
        outcome=outcome,
        code=_code_of(status),
        status=status,
        retry_after_ms=retry_after_ms if outcome == "retry" else None,
        body=body,
        duration_ms=duration_ms,
    )


def classify_failure(code: str, *, duration_ms: int = 0) -> AttemptResult:
    """The result of an attempt that got no response.

    Parameters:
      code: Why there was none: `timeout`, `dns_failed`, ...
      duration_ms: From the start of the request to the failure.

    Raises:
      KeyError: The code is unknown.
    """
    return AttemptResult(outcome=_OUTCOMES[code], code=code, duration_ms=duration_ms)


def printable(raw: bytes) -> str:
    """A response body as text that is safe in terminals, logs and web pages.

    Parameters:
      raw: The beginning of a body, in any encoding or none.

    Returns:
      Text of at most 4 KiB in UTF-8, without control characters other than newlines and tabs.
    """
    text = raw[:MAX_BODY_BYTES].decode("utf-8", "replace").replace("\r\n", "\n")
    safe = "".join(ch if ch.isprintable() or ch in "\n\t" else "\ufffd" for ch in text)
    # An invalid byte becomes a character of three bytes, so cut again.
    return safe.encode()[:MAX_BODY_BYTES].decode("utf-8", "ignore")


def _outcome_of(status: int) -> AttemptOutcome:
    if 200 <= status < 300:
        return "delivered"
    return "gone" if status == HTTPStatus.GONE else "retry"


def _code_of(status: int) -> str:
    return "redirect" if 300 <= status < 400 else f"http_{status}"
