"""Errors of Redis in words, and what each says about what was stored."""

from __future__ import annotations

import pytest
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from service.redis.causes import (
    Cause,
    NotConnected,
    NotDurable,
    Overloaded,
    cause_of,
    forget_changes,
    has_changed,
    note_change,
    words_of,
)


def not_connected(cause: Exception) -> NotConnected:
    """As the pool raises it."""
    error = NotConnected(str(cause))
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code", "refused"),
    [
        (OutOfMemoryError("command not allowed", status_code="OOM"), "OOM", True),
        (ReadOnlyError("You can't write", status_code="READONLY"), "READONLY", True),
        (ResponseError("NOREPLICAS Not enough good replicas"), "NOREPLICAS", True),
        (ResponseError("MISCONF Redis is configured to save"), "MISCONF", True),
        (NoPermissionError("no permissions to run", status_code="NOPERM"), "NOPERM", True),
        (ResponseError("BUSY Redis is busy running a script"), "BUSY", True),
        (ResponseError("CLUSTERDOWN Hash slot not served"), "CLUSTERDOWN", True),
        (ResponseError("unknown command 'FCALL'"), "unsupported", True),
        (ResponseError("ACL failure in script: no permissions"), "NOPERM", False),
        (ResponseError("NOREPLICAS gone script: f, on @user_function:1."), "NOREPLICAS", False),
        (ResponseError("WRONGTYPE Operation against a key"), "WRONGTYPE", False),
        (ResponseError("value is not an integer or out of range script: f"), "WRONGTYPE", False),
        (ResponseError("something new"), "error", False),
        (Overloaded("too much"), "overloaded", True),
        (NotDurable("no replica has confirmed the change"), "not_durable", False),
        (not_connected(ConnectionRefusedError("refused")), "unreachable", True),
        (not_connected(BusyLoadingError("Redis is loading")), "LOADING", True),
        (not_connected(AuthenticationError("invalid", status_code="WRONGPASS")), "WRONGPASS", True),
        (RedisTimeoutError("Timeout reading"), "timeout", False),
        (TimeoutError(), "timeout", False),
        (RedisConnectionError("Connection closed by server."), "connection_lost", False),
        (OSError("reset"), "connection_lost", False),
    ],
)
def test_each_error_has_a_cause(error: Exception, code: str, refused: bool) -> None:
    found = cause_of(error)
    assert found == Cause(code, found.text, refused=refused)
    assert found.text


def test_the_own_words_have_the_code_that_the_client_takes_off() -> None:
    full = OutOfMemoryError("command not allowed", status_code="OOM")
    assert words_of(full) == "OOM command not allowed"
    assert words_of(not_connected(full)) == "OOM command not allowed"
    assert words_of(ResponseError("NOREPLICAS Not enough")) == "NOREPLICAS Not enough"
    assert len(words_of(ResponseError("x" * 500))) == 200


def test_a_change_is_remembered_until_the_next_request() -> None:
    note_change()
    assert has_changed()
    forget_changes()
    assert not has_changed()
