"""The words of refused logins; real replies are in `tests/instagram/login_replies.py`."""

from __future__ import annotations

import time
from typing import Any

import pytest
from aiograpi import exceptions as ig
from redis.exceptions import ConnectionError as RedisConnectionError

from actors.instagram.login_refusals import known_refusal, login_policy
from actors.instagram.login_words import MAX_SEARCHED, shown
from actors.instagram.reply import Reply, attach_reply
from service.accounts.session_store import SessionConflict


class Response:
    """A reply as the client library holds it."""

    def __init__(self, status: int, content: bytes) -> None:
        self.status_code = status
        self.content = content
        self.headers: dict[str, str] = {}


def refused(status: int, content: bytes) -> Exception:
    """An error that a reply caused."""
    error: Exception = ig.ClientError("refused")
    attach_reply(error, Response(status, content))
    return error


def code(document: dict[str, Any], username: str = "the.shop") -> str | None:
    policy = known_refusal(Reply(400, document, {}), username)
    return policy.code if policy else None


@pytest.mark.parametrize("username", ["spam", "facebook", "captcha", "two_factor", "sentry_block"])
def test_the_username_itself_is_no_word_of_the_reply(username: str) -> None:
    assert code({"message": f"Hello {username}, try again."}, username) is None
    said = shown(Reply(400, {"message": f"Hello {username}, try again."}, {}), username)
    assert username not in said
    assert "try again" in said


def test_words_are_found_through_quotes_escapes_and_case() -> None:
    program = '(Dialog "Can\\\\u2019t  find\\\\naccount" "CAN\u2019T FIND AN ACCOUNT")'
    assert code({"layout": {"bloks_payload": {"action": program}}}) == "unknown_username"


def test_a_field_counts_only_when_it_is_set() -> None:
    assert code({"message": "x", "two_factor_info": None, "spam": False}) is None
    assert code({"message": "x", "two_factor_info": {"username": "y"}}) == "two_factor_required"


def test_a_redirect_says_where_to() -> None:
    headers = {"location": "https://www.instagram.com/accounts/suspended/?next=x"}
    policy = known_refusal(Reply(302, None, headers), "the.shop")
    assert policy is not None
    assert policy.code == "account_suspended"


def test_what_people_write_in_a_feed_is_no_refusal() -> None:
    feed = b'{"status": "ok", "items": [{"caption": "challenge_required: find an account"}]}'
    assert login_policy(refused(200, feed), "the.shop", logged_in=True) is None
    assert login_policy(refused(200, feed), "the.shop", logged_in=False) is not None


@pytest.mark.parametrize(
    "error", [RedisConnectionError(), SessionConflict("newer"), TimeoutError(), OSError()]
)
def test_an_error_of_this_side_is_no_refusal(error: Exception) -> None:
    assert login_policy(error, "the.shop", logged_in=False) is None


def test_an_error_that_nobody_expects_holds_the_account() -> None:
    policy = login_policy(AttributeError("get"), "the.shop", logged_in=False)
    assert policy is not None
    assert policy.code == "login_refused"


def test_a_huge_screen_does_not_stop_the_loop() -> None:
    screen = {"layout": {"bloks_payload": {"action": "(bk.action.core.TakeLast 1) " * 200_000}}}
    began = time.process_time()
    assert code(screen) is None
    assert time.process_time() - began < 0.5
    assert MAX_SEARCHED < 200_000


def test_a_run_of_backslashes_does_not_stop_the_loop() -> None:
    document = {"layout": "\\" * MAX_SEARCHED}
    began = time.process_time()
    assert code(document) is None
    assert shown(Reply(400, document, {}), "the.shop") == ""
    assert time.process_time() - began < 0.5


def test_a_feed_that_fails_after_the_login_says_nothing_of_the_password() -> None:
    failing = refused(500, b'{"status": "fail", "message": "The password is incorrect."}')
    assert login_policy(failing, "the.shop", logged_in=True) is None
