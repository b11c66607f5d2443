"""What is taken from Instagram's replies about a challenge, and what is not."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from aiograpi import exceptions as ig

from actors.instagram.challenge_details import challenge_details
from actors.instagram.reply import attach_reply

NONCE = "DrW8V4m5Ec"
#: aiograpi 2.1.2, mixins/challenge.py
SELECT = {
    "step_name": "select_verify_method",
    "step_data": {
        "choice": "0",
        "fb_access_token": "None",
        "phone_number": "+7 *** ***-**-09",
        "email": "x****g@y*****.com",
    },
    "nonce_code": NONCE,
    "user_id": 12060121299,
    "status": "ok",
}
RECOVERY = {
    "step_name": "select_contact_point_recovery",
    "step_data": {"choice": "0", "phone_number": "+62 ***-****-**11"},
    "challenge_context": json.dumps(
        {"step_name": "select_contact_point_recovery", "cni": 178, "challenge_type_enum": "LOCK"}
    ),
    "challenge_type_enum_str": "HACKED_LOCK",
}
#: Osintgram issue 1048
NATIVE = {
    "message": "challenge_required",
    "challenge": {
        "url": f"https://i.instagram.com/challenge/12/{NONCE}/?next=/accounts/",
        "api_path": f"/challenge/12/{NONCE}/",
        "native_flow": True,
        "challenge_context": json.dumps({"step_name": "", "challenge_type_enum": "ROBOT"}),
    },
}


def refused(document: Any) -> Exception:
    """An error with a reply of this document."""
    response = SimpleNamespace(status_code=400, content=json.dumps(document).encode(), headers={})
    error: Exception = ig.ChallengeRequired("challenge_required")
    attach_reply(error, response)
    return error


@pytest.mark.parametrize(
    ("document", "details"),
    [
        (SELECT, {"step": "select_verify_method", "sent_to": "x****g@y*****.com"}),
        (
            RECOVERY,
            {
                "kind": "HACKED_LOCK",
                "step": "select_contact_point_recovery",
                "sent_to": "+62 ***-****-**11",
            },
        ),
        (NATIVE, {"kind": "native", "url": f"https://i.instagram.com/challenge/12/{NONCE}/"}),
        ({"two_factor_info": {"obfuscated_phone_number": "1234", "two_factor_identifier": NONCE}},
         {"kind": "two_factor", "sent_to": "*** 1234"}),
        ({"checkpoint_url": "/challenge/ABC/123/"},
         {"url": "https://i.instagram.com/challenge/ABC/123/"}),
        ({"layout": {"bloks_payload": {"data": ['(Text "We sent it to s****p@e***.com.")']}}},
         {"sent_to": "s****p@e***.com"}),
        ({"message": "challenge_required"}, {}),
    ],
    ids=["email", "phone", "native", "second factor", "checkpoint", "screen", "nothing"],
)  # fmt: skip
def test_the_safe_part_of_a_reply_is_taken(document: Any, details: dict[str, str]) -> None:
    assert challenge_details(refused(document)) == details


def test_fields_that_the_library_has_set_on_its_error_count_as_well() -> None:
    error = ig.ChallengeRequired("Challenge code required.", **SELECT)
    assert challenge_details(error)["sent_to"] == "x****g@y*****.com"


@pytest.mark.parametrize(
    "document",
    [
        {"step_name": "<script>", "step_data": {"email": "jenny@example.com"}},
        {"step_name": "x" * 65, "step_data": {"email": "x****g@y.com<b>"}},
        {"step_name": ["verify"], "step_data": ["a"], "challenge": "x", "two_factor_info": "y"},
        {"step_data": {"phone_number": "+49 170 1234567", "contact_point": "*" * 200}},
        {"two_factor_info": {}, "challenge_context": "{" * 5_000},
        {"challenge": {"url": "https://evil.example/challenge/1/"}},
        {"challenge": {"url": "https://instagram.com.evil.example/challenge/1/"}},
        {"challenge": {"url": "https://evilinstagram.com/challenge/1/"}},
        {"challenge": {"url": "http://i.instagram.com/challenge/1/"}},
        {"challenge": {"url": "https://user:secret@i.instagram.com/challenge/1/"}},
        {"challenge": {"url": "https://i.instagram.com:8443/challenge/1/"}},
        {"challenge": {"url": "https://[i.instagram.com/challenge/1/"}},
        {"challenge": {"url": "//evil.example/challenge/1/"}},
        {"challenge": {"url": "javascript:alert(1)"}},
        {"challenge": {"url": 'https://i.instagram.com/challenge/"><b>/'}},
        {"challenge": {"url": "https://i.instagram.com/" + "a" * 300}},
        {"layout": {"data": ["jenny@example.com", 5, None]}},
    ],
)
def test_nothing_else_is_taken(document: Any) -> None:
    assert challenge_details(refused(document)) == {}


def test_a_deep_and_long_screen_is_not_searched_to_its_end() -> None:
    screen: Any = "s****p@e***.com"
    for _ in range(50):
        screen = [screen]
    assert challenge_details(refused({"layout": screen})) == {}
    many = ["nothing"] * 5_000 + ["s****p@e***.com"]
    assert challenge_details(refused({"layout": many})) == {}
