"""What the end of an attempt means."""

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
    ("status", "outcome", "code", "holds_back"),
    [
        (200, "delivered", "http_200", False),
        (204, "delivered", "http_204", False),
        (299, "delivered", "http_299", False),
        (101, "retry", "http_101", False),
        (300, "retry", "redirect", False),
        (301, "retry", "redirect", False),
        (304, "retry", "redirect", False),
        (308, "retry", "redirect", False),
        (400, "retry", "http_400", False),
        (401, "retry", "http_401", False),
        (404, "retry", "http_404", False),
        (410, "gone", "http_410", False),
        (429, "retry", "http_429", True),
        (500, "retry", "http_500", False),
        (502, "retry", "http_502", True),
        (503, "retry", "http_503", True),
        (504, "retry", "http_504", True),
        (999, "retry", "http_999", False),
    ],
)
def test_a_status_decides_what_follows(
    status: int, outcome: AttemptOutcome, code: str, holds_back: bool
) -> None:
    result = classify_status(status)

    assert (result.outcome, result.code, result.status) == (outcome, code, status)
    assert result.hold_back_origin is holds_back


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
def test_a_failure_decides_what_follows(code: str, outcome: AttemptOutcome) -> None:
    result = classify_failure(code, duration_ms=7)

    assert (result.outcome, result.code, result.status) == (outcome, code, None)
    assert result.duration_ms == 7
    assert result.message.endswith(".")
    assert "None" not in result.message


def test_an_unknown_failure_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        classify_failure("cosmic_rays")


def test_a_wanted_wait_is_kept_only_where_a_retry_follows() -> None:
    assert classify_status(500, 9000).retry_after_ms == 9000
    assert classify_status(302, 9000).retry_after_ms == 9000
    assert classify_status(200, 9000).retry_after_ms is None
    assert classify_status(410, 9000).retry_after_ms is None


def test_a_status_is_told_in_a_sentence() -> None:
    assert classify_status(500).message == "The endpoint answered with status 500."
    assert "redirect" in classify_status(302).message


def test_a_body_keeps_its_text_and_loses_what_could_harm_a_terminal() -> None:
    raw = "Grüße\r\n\tok\x1b[31m \u202egnp.exe \x00\x9b\u2028".encode()

    assert printable(raw) == "Grüße\n\tok\ufffd[31m \ufffdgnp.exe \ufffd\ufffd\ufffd"


def test_a_body_that_is_no_text_is_decoded_all_the_same() -> None:
    assert printable(b"\xff\xfeok") == "\ufffd\ufffdok"


@given(st.binary(max_size=3 * MAX_BODY_BYTES))
def test_a_captured_body_is_bounded_and_printable(raw: bytes) -> None:
    text = printable(raw)

    assert len(text.encode()) <= MAX_BODY_BYTES
    assert all(ch.isprintable() or ch in "\n\t" for ch in text)


def test_a_flood_of_stray_bytes_does_not_grow_by_being_decoded() -> None:
    assert len(printable(b"\xff" * MAX_BODY_BYTES).encode()) <= MAX_BODY_BYTES
