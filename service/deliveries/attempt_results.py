"""How one attempt of a callback ended, and what that means for its delivery.

Pure. Every end has a stable code for programs and a generic sentence for people: neither tells
an address, so that nobody can explore the network of the host through its callbacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal

AttemptOutcome = Literal["delivered", "retry", "gone", "final", "not_counted"]

MAX_BODY_BYTES: Final = 4096

#: Answers of an origin that is overloaded or down: nothing else is sent there for a while.
HOLD_BACK_STATUSES: Final = frozenset({429, 502, 503, 504})

#: What follows from an attempt that got no answer. One that is not counted was our own
#: fault, and is made again.
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
    "blocked_address": "The callback URL leads to an address that callbacks may not reach.",
    "connection_refused": "The endpoint refused the connection.",
    "connection_reset": "The endpoint closed the connection without an answer.",
    "dns_failed": "The endpoint's host name could not be resolved.",
    "internal_error": "Heliograph failed, not the endpoint; the attempt does not count.",
    "interrupted": "The worker stopped before the attempt ended; the attempt does not count.",
    "invalid_url": "The callback URL cannot be used.",
    "local_resources": "This worker could not open a connection; the attempt does not count.",
    "origin_busy": "Too many callbacks wait for this origin; the attempt does not count.",
    "protocol_error": "The endpoint did not answer in valid HTTP.",
    "redirect": "The endpoint answered with a redirect, which callbacks never follow.",
    "timeout": "The endpoint did not answer in time.",
    "tls_failed": "The TLS handshake or the check of the endpoint's certificate failed.",
    "unknown_callback": "This worker's configuration does not name the callback.",
    "unreachable": "The endpoint could not be reached.",
}


@dataclass(frozen=True)
class AttemptResult:
    """The end of one attempt.

    Parameters:
      outcome: What follows: done, try again, disable the endpoint (`gone`), give up (`final`),
        or try again without counting this attempt (`not_counted`).
      code: A stable word: `http_500`, `redirect`, `timeout`, ...
      status: The HTTP status, None when there was no answer.
      retry_after_ms: The wait that the endpoint asked for.
      hold_back_origin: Whether other callbacks to this origin should wait too.
      body: The beginning of the answer's body, at most 4 KiB, safe to print.
      duration_ms: From the start of the exchange to its status line or its failure.
    """

    outcome: AttemptOutcome
    code: str
    status: int | None = None
    retry_after_ms: int | None = None
    hold_back_origin: bool = False
    body: str = ""
    duration_ms: int = 0

    @property
    def message(self) -> str:
        """The reason in one sentence, without any address."""
        return _MESSAGES.get(self.code, f"The endpoint answered with status {self.status}.")


def classify_status(
    status: int, retry_after_ms: int | None = None, *, body: str = "", duration_ms: int = 0
) -> AttemptResult:
    """What an answer means.

    Parameters:
      status: The HTTP status; only a 2xx is a delivery, and its body does not matter.
      retry_after_ms: The answer's `Retry-After`; kept only where a retry follows.
      body: The captured beginning of the body.
      duration_ms: From the start of the exchange to the status line.

    Returns:
      The end of the attempt.
    """
    outcome = _outcome_of(status)
    return AttemptResult(
        outcome=outcome,
        code=_code_of(status),
        status=status,
        retry_after_ms=retry_after_ms if outcome == "retry" else None,
        hold_back_origin=status in HOLD_BACK_STATUSES,
        body=body,
        duration_ms=duration_ms,
    )


def classify_failure(code: str, *, duration_ms: int = 0) -> AttemptResult:
    """What an attempt without an answer means.

    Parameters:
      code: Why there was none: `timeout`, `dns_failed`, ...
      duration_ms: From the start of the exchange to its failure.

    Returns:
      The end of the attempt.

    Raises:
      KeyError: If the code is unknown.
    """
    return AttemptResult(outcome=_OUTCOMES[code], code=code, duration_ms=duration_ms)


def printable(raw: bytes) -> str:
    """A captured body as text that no terminal, log or page is harmed by.

    Parameters:
      raw: The beginning of a body, in any encoding or none.

    Returns:
      Text of at most 4 KiB in UTF-8; only newlines and tabs are left of the control characters.
    """
    text = raw[:MAX_BODY_BYTES].decode("utf-8", "replace").replace("\r\n", "\n")
    safe = "".join(ch if ch.isprintable() or ch in "\n\t" else "\ufffd" for ch in text)
    # One stray byte becomes a three-byte mark, so the bound is set once more.
    return safe.encode()[:MAX_BODY_BYTES].decode("utf-8", "ignore")


def _outcome_of(status: int) -> AttemptOutcome:
    if 200 <= status < 300:
        return "delivered"
    return "gone" if status == HTTPStatus.GONE else "retry"


def _code_of(status: int) -> str:
    return "redirect" if 300 <= status < 400 else f"http_{status}"
