"""Pure functions of the fake Instagram."""

from __future__ import annotations

import pytest

from deploy.local.instagram.passwords import PasswordKey, totp_matches
from deploy.local.instagram.posts import shortcode
from deploy.local.instagram.records import CallRecord, overlaps

# RFC 6238, appendix B: the SHA-1 secret, and the last six of its eight digits.
RFC_SEED = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


def call(
    account: str | None, begun: float, ended: float | None, gone: float | None = None
) -> CallRecord:
    return {
        "seq": 1,
        "call": "comment",
        "account": account,
        "user_id": None,
        "method": "POST",
        "host": "i.instagram.com",
        "path": "/",
        "http_version": "2",
        "connection": 1,
        "fault": None,
        "begun": begun,
        "begun_at": begun,
        "gone": gone,
        "ended": ended,
        "ended_at": ended,
        "status": 200,
        "outcome": "answered",
    }


@pytest.mark.parametrize(
    ("calls", "pairs"),
    [
        ([call("a", 0, 1), call("a", 1, 2)], 0),
        ([call("a", 0, 2), call("a", 1, 3)], 1),
        ([call("a", 0, 2), call("b", 1, 3)], 0),
        ([call(None, 0, 2), call(None, 1, 3)], 0),
        ([call("a", 0, None), call("a", 5, 6)], 1),
        ([call("a", 0, 9, gone=2), call("a", 5, 6)], 0),
        ([call("a", 0, 9), call("a", 1, 2), call("a", 5, 6)], 2),
    ],
)
def test_overlapping_calls_on_one_account_are_found(calls: list[CallRecord], pairs: int) -> None:
    assert len(overlaps(calls)) == pairs


@pytest.mark.parametrize(("at", "code"), [(59, "287082"), (1111111109, "081804")])
def test_totp_codes_follow_rfc_6238(at: int, code: str) -> None:
    assert totp_matches(RFC_SEED, code, at)
    assert totp_matches(RFC_SEED, code, at + 30)
    assert not totp_matches(RFC_SEED, code, at + 90)


@pytest.mark.parametrize("envelope", ["", "secret", "#PWD_INSTAGRAM:4:1:AAAA", "#PWD_X:4:1:AAAA"])
def test_an_invalid_envelope_has_no_password(envelope: str) -> None:
    assert PasswordKey.generate().open(envelope) is None


def test_shortcodes_are_encoded_as_by_instagram() -> None:
    assert shortcode(2110901750722920960) == "B1LbfVPlwIA"
