"""Results of delivery attempts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.deliveries.attempt_results import (
    MAX_BODY_BYTES,
    AttemptOutcome,
    classify_failure,
    classify_status,
    printable,
)


@pytest.mark.parametrize(
    ("status", "outcome", "code"),
    [
        (200, "delivered", "http_200"),
        (204, "delivered", "http_204"),
        (299, "delivered", "http_299"),
        (101, "retry", "http_101"),
        (300, "retry", "redirect"),
        (301, "retry", "redirect"),
        (304, "retry", "redirect"),
        (308, "retry", "redirect"),
        (400, "retry", "http_400"),
        (401, "retry", "http_401"),
        (404, "retry", "http_404"),
        (410, "gone", "http_410"),
        (429, "retry", "http_429"),
        (500, "retry", "http_500"),
        (502, "retry", "http_502"),
        (503, "retry", "http_503"),
        (504, "retry", "http_504"),
        (999, "retry", "http_999"),
    ],
)
def test_a_status_decides_the_outcome(status: int, outcome: AttemptOutcome, code: str) -> None:
    result = classify_status(status)

    assert (result.outcome, result.code, result.status) == (outcome, code, status)


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("blocked_address", "final"),
        ("invalid_url", "final"),
        ("dns_failed", "retry"),
        ("tls_failed", "retry"),
        ("connection_refused", "retry"),
        ("connection_reset", "retry"),
        ("unreachable", "retry"),
        ("timeout", "retry"),
        ("protocol_error", "retry"),
        ("local_resources", "not_counted"),
        ("interrupted", "not_counted"),
        ("internal_error", "not_counted"),
        ("unknown_callback", "not_counted"),
        ("origin_busy", "not_counted"),
    ],
)
def test_a_failure_decides_the_outcome(code: str, outcome: AttemptOutcome) -> None:
    result = classify_failure(code, duration_ms=7)

    assert (result.outcome, result.code, result.status) == (outcome, code, None)
    assert result.duration_ms == 7
    assert result.message.endswith(".")
    assert "None" not in result.message


def test_an_unknown_failure_raises_an_error() -> None:
    with pytest.raises(KeyError):
        classify_failure("cosmic_rays")


def test_retry_after_is_kept_only_if_a_retry_follows() -> None:
    assert classify_status(500, 9000).retry_after_ms == 9000
    assert classify_status(302, 9000).retry_after_ms == 9000
    assert classify_status(200, 9000).retry_after_ms is None
    assert classify_status(410, 9000).retry_after_ms is None


def test_a_status_has_a_message() -> None:
    assert classify_status(500).message == "The endpoint responded with status 500."
    assert "redirect" in classify_status(302).message


def test_a_printable_body_keeps_text_and_drops_control_characters() -> None:
    raw = "Grüße\r\n\tok\x1b[31m \u202egnp.exe \x00\x9b\u2028".encode()

    assert printable(raw) == "Grüße\n\tok\ufffd[31m \ufffdgnp.exe \ufffd\ufffd\ufffd"


def test_a_body_that_is_not_text_is_decoded_with_replacements() -> None:
    assert printable(b"\xff\xfeok") == "\ufffd\ufffdok"


@given(st.binary(max_size=3 * MAX_BODY_BYTES))
def test_a_printable_body_is_limited_in_size(raw: bytes) -> None:
    text = printable(raw)

    assert len(text.encode()) <= MAX_BODY_BYTES
    assert all(ch.isprintable() or ch in "\n\t" for ch in text)


def test_invalid_bytes_do_not_exceed_the_size_limit() -> None:
    assert len(printable(b"\xff" * MAX_BODY_BYTES).encode()) <= MAX_BODY_BYTES
