"""Idempotency tokens and exportable settings."""

from __future__ import annotations

import uuid
from typing import Any

from actors.instagram.idempotency_tokens import (
    client_context_for,
    creation_key_for,
    current_token,
    is_client_context,
    write_token,
)
from service.accounts.session_settings import exportable, is_logged_in


def test_a_client_context_is_in_the_librarys_range() -> None:
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


def test_a_write_token_applies_to_its_block_only() -> None:
    assert current_token() is None
    with write_token("outer"):
        with write_token("inner"):
            assert current_token() == "inner"
        assert current_token() == "outer"
    assert current_token() is None


def test_exported_settings_are_a_copy_without_process_settings() -> None:
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


def test_an_authorization_or_a_session_cookie_is_a_login() -> None:
    assert is_logged_in({"authorization_data": {"ds_user_id": "1"}})
    assert is_logged_in({"cookies": {"sessionid": "s"}, "authorization_data": {}})
    assert not is_logged_in({"cookies": {"csrftoken": "c"}, "authorization_data": {}})
    assert not is_logged_in({})
