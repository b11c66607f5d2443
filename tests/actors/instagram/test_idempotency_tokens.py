"""Tokens, targets and what travels: the pure parts."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from actors.instagram.idempotency_tokens import (
    client_context_for,
    creation_key_for,
    current_token,
    is_client_context,
    write_token,
)
from actors.instagram.ids import InvalidInstagramId, media_pk, user_pk, username_of
from service.accounts.session_settings import exportable, is_logged_in


def test_a_client_context_lies_in_the_range_of_the_library() -> None:
    contexts = {client_context_for(f"job_{n}:1") for n in range(500)}
    assert len(contexts) == 500
    for context in contexts:
        assert 6800011111111111111 <= int(context) <= 6800099999999999999
        assert is_client_context(context)
        assert client_context_for(context) == context


def test_tokens_never_change_between_releases() -> None:
    assert client_context_for("job_x:1") == "6800033174654658176"
    assert creation_key_for("job_x:1") == "108e2ecb-b3d8-5a52-8b13-9c6e74fa0779"
    assert uuid.UUID(creation_key_for("job_y:1")).version == 5


def test_a_write_ends_with_its_block() -> None:
    assert current_token() is None
    with write_token("outer"):
        with write_token("inner"):
            assert current_token() == "inner"
        assert current_token() == "outer"
    assert current_token() is None


@pytest.mark.parametrize(
    ("post", "pk"),
    [
        ("123", "123"),
        ("123_456", "123"),
        ("B1LbfVPlwIA", "2110901750722920960"),
        ("B-fKL9qpeab", "2278584739065882267"),
        ("CCQQsCXjOaBfS3I2PpqsNkxElV9DXj61vzo5xs0", "2346448800803776129"),
    ],
)
def test_a_post_has_its_pk_without_a_call(post: str, pk: str) -> None:
    assert media_pk(post) == pk


@pytest.mark.parametrize("post", ["", "a b", "http://x/", "12é34", "\uff11\uff12\uff13", "1_2_3 "])
def test_what_is_no_post_is_refused(post: str) -> None:
    with pytest.raises(InvalidInstagramId):
        media_pk(post)


def test_a_recipient_is_a_pk_or_a_username() -> None:
    assert user_pk("314159") == "314159"
    assert user_pk("@314159") is None
    assert user_pk("\uff13\uff11") is None
    assert username_of("@314159") == "314159"
    assert username_of("Some.Handle") == "some.handle"


@pytest.mark.parametrize("to", ["", "@", "two words", "a/b", "../x", "x" * 31])
def test_what_is_no_username_is_refused(to: str) -> None:
    with pytest.raises(InvalidInstagramId):
        username_of(to)


def test_only_the_account_s_own_settings_travel_and_as_a_copy() -> None:
    settings: dict[str, Any] = {
        "uuids": {"phone_id": "p"},
        "cookies": {"sessionid": "s"},
        "proxy": "http://user:pw@host",
        "tls_verify": "/ca.pem",
        "request_timeout": 0,
        "session_retry_total": 3,
        "private_transport": "curl",
        "unknown_to_us": [1],
    }
    travels = exportable(settings)
    assert set(travels) == {"uuids", "cookies", "unknown_to_us"}
    travels["uuids"]["phone_id"] = "changed"
    assert settings["uuids"]["phone_id"] == "p"


def test_a_login_is_an_authorization_or_a_session_cookie() -> None:
    assert is_logged_in({"authorization_data": {"ds_user_id": "1"}})
    assert is_logged_in({"cookies": {"sessionid": "s"}, "authorization_data": {}})
    assert not is_logged_in({"cookies": {"csrftoken": "c"}, "authorization_data": {}})
    assert not is_logged_in({})
