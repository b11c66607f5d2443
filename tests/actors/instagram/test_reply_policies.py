"""What a reply means by its words and its status, whatever its shape."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from aiograpi import exceptions as ig
from hypothesis import given
from hypothesis import strategies as st

from actors.instagram import error_policies as policies
from actors.instagram.errors import Outcome, classify
from actors.instagram.reply import Reply, attach_reply, may_hide_failure, reply_of
from actors.instagram.reply_policies import is_definite, policy_for_reply, policy_for_words

WAIT = "Please wait a few minutes before you try again."
REFUSED = {"message": "User is blocked", "status": "fail"}


def reply(status: int, document: Any = None, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, document, named)


def error_with(response: httpx.Response, error: Exception | None = None) -> Exception:
    error = error or ig.ClientError("an error")
    attach_reply(error, response)
    return error


_TEXTS = st.sampled_from(["login_required", WAIT, "User is blocked", "fail", "ok", "200", "", "x"])
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS | st.text(max_size=8)
_KEYS = st.sampled_from(
    ["message", "status", "payload", "challenge", "status_code", "item_ack", "content", "spam"]
) | st.text(max_size=8)
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4)
)


@given(
    st.dictionaries(_KEYS, _VALUES, max_size=6),
    st.integers(100, 599),
    st.dictionaries(st.sampled_from(["retry-after", "location", "date"]), st.text(max_size=12)),
)
def test_no_reply_is_too_odd_to_be_judged(
    document: dict[str, Any], status: int, headers: dict[str, str]
) -> None:
    odd = Reply(status, document, headers)
    error = ig.ClientError("an error")
    error.heliograph_reply = odd

    may_hide_failure(document)
    for writing in (True, False):
        assert classify(error, writing=writing).code
    assert policy_for_reply(odd, policies.REFUSED_UNCLEAR) in policies.ALL


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 422, 429, 200])
def test_words_decide_at_every_status_that_refuses(status: int) -> None:
    assert policy_for_words(reply(status, REFUSED)) is policies.MESSAGES_REFUSED
    assert is_definite(reply(status, REFUSED), policies.MESSAGES_REFUSED)


def test_words_inside_a_success_say_nothing() -> None:
    sent = {"payload": {"item_id": "1", "message": WAIT}, "message": WAIT, "status": "ok"}
    assert policy_for_words(reply(200, sent)) is None
    acknowledged = {"status_code": "200", "payload": {"item_id": "1", "message": WAIT}}
    assert policy_for_words(reply(200, acknowledged)) is None


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_server_that_fails_may_ask_for_rest_but_says_nothing_of_session_or_recipient(
    status: int,
) -> None:
    for said in ("login_required", "user_has_logged_out", "User is blocked", "User not found"):
        assert policy_for_words(reply(status, {"message": said, "status": "fail"})) is None
    waiting = reply(status, {"message": WAIT, "status": "fail"})
    assert policy_for_words(waiting) is policies.PLEASE_WAIT
    assert not is_definite(waiting, policies.PLEASE_WAIT)


@pytest.mark.parametrize(
    ("status", "document", "definite"),
    [
        (400, {"status": "fail"}, True),
        (400, {"message": "No", "status": "fail"}, True),
        (404, {"error_type": "other"}, True),
        (403, {"action": "item_ack", "status_code": "403"}, True),
        (200, {"status": "fail"}, True),
        (200, {"status": "ok", "status_code": 400}, True),
        (200, {"status": "ok", "payload": {"status_code": "404"}}, True),
        (429, None, True),
        (400, None, False),
        (403, {"error": "denied"}, False),
        (403, {"message": "denied"}, False),
        (408, {"status": "fail"}, False),
        (500, {"status": "fail"}, False),
        (500, REFUSED, False),
        (200, {"status": "ok", "status_code": "503"}, False),
        (200, {"status": "ok", "payload": {}}, False),
        (302, None, False),
        (404, None, False),
    ],
)
def test_only_instagrams_own_no_is_definite(status: int, document: Any, definite: bool) -> None:
    given_reply = reply(status, document)
    policy = policy_for_reply(given_reply, policies.REFUSED_UNCLEAR)
    assert is_definite(given_reply, policy) is definite


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("https://www.instagram.com/accounts/login/?next=/api/v1/", "login_required"),
        ("/challenge/?next=x", "challenge_required"),
        ("https://www.instagram.com/accounts/suspended/?next=x", "account_suspended"),
        ("https://example.com/", "refused_unclear"),
        ("https://hotspot.example.com/accounts/login/", "refused_unclear"),
        ("http://instagram.com.example.com/challenge/", "refused_unclear"),
        ("https://www.instagram.com/?next=/challenge/", "refused_unclear"),
        ("https://[/challenge/", "refused_unclear"),
        ("", "refused_unclear"),
    ],
)
def test_a_redirect_is_judged_by_where_it_leads(location: str, code: str) -> None:
    there = reply(302, None, location=location)
    assert policy_for_reply(there, policies.SERVER_ERROR).code == code


def test_a_reply_decides_when_the_library_stumbles_over_it() -> None:
    # The library searches a null message for words, and passes a reply's fields as parameters.
    response = httpx.Response(429, json={"message": None, "status": "fail"})
    decision = classify(error_with(response, TypeError("NoneType")), writing=True)
    assert (decision.outcome, decision.code) == (Outcome.COOL_DOWN, "rate_limited")


def test_an_error_without_a_reply_does_not_inherit_an_earlier_one() -> None:
    # Given a connection that fails while an earlier refusal is handled
    lost = ig.ClientConnectionError("cut")
    attach_reply(lost, None)
    lost.__context__ = error_with(httpx.Response(400, json=REFUSED))

    assert reply_of(lost) is None
    assert classify(lost, writing=True).outcome is Outcome.VERIFY
    # Nor does a time limit, which is nobody's reply
    late = TimeoutError()
    late.__context__ = error_with(httpx.Response(400, json=REFUSED))
    assert classify(late, writing=True).code == "timed_out"


def test_unknown_words_are_quoted_without_what_names_a_person() -> None:
    said = "Jenny @jenny.rosen (jenny@example.com) cannot be reached, see https://x.com/u/1"
    response = httpx.Response(400, content=json.dumps({"message": said, "status": "fail"}))
    message = classify(error_with(response), writing=True).message
    assert "cannot be reached" in message
    for private in ("jenny.rosen", "example.com", "http", "x.com"):
        assert private not in message
