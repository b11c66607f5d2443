"""The classification of every error of the client library, from real replies or built by hand."""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pydantic
import pytest
from aiograpi import exceptions as ig
from curl_cffi import CurlECode
from curl_cffi.requests.exceptions import RequestException

from actors.instagram.client import InstagramClient, build_client, close_client
from actors.instagram.errors import (
    ErrorDecision,
    Outcome,
    UnknownAccount,
    classify,
)
from actors.instagram.options import ClientOptions
from actors.instagram.write_verification import SearchIncomplete, SimilarWriteFound
from deploy.local.instagram.client import FakeInstagram
from deploy.local.instagram.replies import REFUSALS
from service.accounts.session_store import DeviceChanged, SessionConflict, SessionUnreadable
from service.instagram.ids import InvalidIdentifier

SECRET = "sessionid=very-secret"
POST = "3700000000000000001"
READ, WRITE = False, True

# By the fake Instagram's name of the refusal: outcome of a read, outcome of a write, code.
EXPECTED = {
    "please_wait": ("cool_down", "cool_down", "please_wait"),
    "throttled": ("cool_down", "cool_down", "rate_limited"),
    "rate_limit": ("cool_down", "cool_down", "rate_limit_error"),
    "sentry_block": ("cool_down", "cool_down", "sentry_block"),
    "feedback_required": ("cool_down", "cool_down", "feedback_required"),
    "spam": ("cool_down", "cool_down", "feedback_required"),
    "challenge_required": ("hold", "hold", "challenge_required"),
    "masked_challenge": ("retry", "verify", "refused_unclear"),
    "account_suspended": ("hold", "hold", "account_suspended"),
    "checkpoint_required": ("hold", "hold", "checkpoint_required"),
    "consent_required": ("hold", "hold", "consent_required"),
    "geoblock_required": ("hold", "hold", "geoblock_required"),
    "needs_upgrade": ("hold", "hold", "client_outdated"),
    "two_factor_required": ("hold", "hold", "two_factor_required"),
    "bad_password": ("hold", "hold", "bad_password"),
    "proxy_blocked": ("fix_proxy", "fix_proxy", "proxy_address_blocked"),
    "login_required": ("relogin", "relogin", "login_required"),
    "unauthorized": ("retry", "retry", "unauthorized"),
    "user_not_found": ("final", "final", "user_not_found"),
    "user_unavailable": ("final", "final", "user_not_found"),
    "age_restricted": ("final", "final", "age_restricted"),
    "private_account": ("final", "final", "private_account"),
    "invalid_target_user": ("final", "final", "invalid_target_user"),
    "dm_requests_disabled": ("final", "final", "message_requests_disabled"),
    "thread_not_found": ("final", "final", "thread_not_found"),
    "media_not_found": ("final", "final", "media_not_found"),
    "media_unavailable": ("final", "final", "media_unavailable"),
    "media_deleted": ("final", "final", "media_unavailable"),
    "invalid_media_id": ("final", "final", "invalid_media_id"),
    "comment_unavailable": ("final", "final", "comment_unavailable"),
    "comments_disabled": ("final", "final", "comments_disabled"),
    "unknown": ("retry", "retry", "refused_unclear"),
    "bad_request": ("retry", "retry", "refused_unclear"),
    "forbidden": ("retry", "retry", "refused_unclear"),
    "not_found": ("retry", "retry", "refused_unclear"),
    "status_fail": ("retry", "retry", "refused_unclear"),
    "error_with_title": ("retry", "verify", "refused_unclear"),
    "server_error": ("retry", "verify", "server_error"),
    "bad_gateway": ("retry", "verify", "server_error"),
    "not_json": ("retry", "verify", "reply_unreadable"),
}

CALLS: dict[str, Callable[[InstagramClient], Awaitable[Any]]] = {
    "broadcast_text": lambda client: client.direct_send("text", user_ids=[1]),
    "comment": lambda client: client.media_comment(POST, "text"),
    "comments": lambda client: client.media_comments_v1_chunk(POST),
    "followers": lambda client: client.user_followers_v1_chunk("1"),
    "login": lambda client: client.login("shop", "shop-password"),
    "media_info": lambda client: client.media_info_v1(POST),
    "thread": lambda client: client.direct_messages(1),
    "user_info": lambda client: client.user_info_v1("1"),
    "usernameinfo": lambda client: client.user_info_by_username_v1("somebody"),
}


def test_every_refusal_of_the_fake_instagram_is_classified(
    fake_instagram: FakeInstagram,
) -> None:
    async def error_of(name: str, settings: dict[str, Any]) -> Exception:
        call = REFUSALS[name].call
        fake_instagram.fault(call, error=name)
        options = ClientOptions(
            fake_instagram.proxy_url, str(fake_instagram.ca_path), human_pace=False
        )
        client = await build_client(options, {} if call == "login" else settings)
        try:
            await CALLS[call](client)
        except Exception as error:  # noqa: BLE001 - errors are what is tested
            return error
        finally:
            await close_client(client)
            fake_instagram.clear_faults()
        pytest.fail(f"{name}: nothing was raised")

    async def classify_all() -> dict[str, tuple[str, str, str]]:
        options = ClientOptions(
            fake_instagram.proxy_url, str(fake_instagram.ca_path), human_pace=False
        )
        client = await build_client(options)
        await client.login("shop", "shop-password")
        settings = client.exportable_settings
        await close_client(client)
        return {name: outcomes_and_code(await error_of(name, settings)) for name in REFUSALS}

    assert asyncio.run(classify_all()) == EXPECTED


def outcomes_and_code(error: BaseException) -> tuple[str, str, str]:
    read, write = classify(error, writing=READ), classify(error, writing=WRITE)
    assert write.ambiguous == (write.outcome is Outcome.VERIFY)
    assert not read.ambiguous
    return read.outcome, write.outcome, write.code


def make(kind: str, **fields: Any) -> BaseException:
    error = getattr(ig, kind)(SECRET, **fields)
    assert isinstance(error, BaseException)
    return error


def parse_error() -> BaseException:
    class Shape(pydantic.BaseModel):
        pk: int

    try:
        Shape.model_validate({"pk": SECRET})
    except pydantic.ValidationError as error:
        return error
    raise AssertionError


def client_error(status: int) -> BaseException:
    reply = httpx.Response(status, request=httpx.Request("GET", "https://i.instagram.com"))
    return make("ClientError", response=reply)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (make("ConnectProxyError"), ("retry", "verify", "connection_failed")),
        (make("ClientConnectionError"), ("retry", "verify", "connection_failed")),
        (make("ClientIncompleteReadError"), ("retry", "verify", "reply_incomplete")),
        (make("ClientUnknownError"), ("retry", "verify", "server_error")),
        (make("ClientJSONDecodeError"), ("retry", "verify", "reply_unreadable")),
        (make("ClientRequestTimeout"), ("retry", "verify", "timed_out")),
        (client_error(502), ("retry", "verify", "server_error")),
        (client_error(500), ("retry", "verify", "server_error")),
        (client_error(499), ("retry", "verify", "refused_unclear")),
        (httpx.ReadTimeout(SECRET), ("retry", "verify", "timed_out")),
        (httpx.RemoteProtocolError(SECRET), ("retry", "verify", "connection_failed")),
        (httpx.ProxyError("502 Bad Gateway"), ("retry", "verify", "connection_failed")),
        (OSError(SECRET), ("retry", "verify", "connection_failed")),
        (TimeoutError(), ("retry", "verify", "timed_out")),
        (asyncio.CancelledError(), ("retry", "verify", "interrupted")),
        (json.JSONDecodeError(SECRET, "", 0), ("retry", "verify", "reply_unreadable")),
        (make("AuthRequiredProxyError"), ("fix_proxy", "fix_proxy", "proxy_auth_required")),
        (
            httpx.ProxyError("407 Proxy Authentication Required"),
            ("fix_proxy", "fix_proxy", "proxy_auth_required"),
        ),
        (httpx.ProxyError("403 Forbidden"), ("fix_proxy", "fix_proxy", "proxy_refused")),
        (make("TermsAccept"), ("hold", "hold", "terms_required")),
        (make("TermsUnblock"), ("hold", "hold", "terms_required")),
        (make("BadCredentials"), ("hold", "hold", "bad_credentials")),
        (make("ReloginAttemptExceeded"), ("hold", "hold", "relogin_exceeded")),
        (make("ChallengeUnknownStep"), ("hold", "hold", "challenge_required")),
        (make("CaptchaChallengeRequired"), ("hold", "hold", "challenge_required")),
        (
            make("ClientError", logged_in=False, result={"layout": SECRET}),
            ("hold", "hold", "login_refused"),
        ),
        (
            make("ClientError", logged_in=False, result={}),
            ("retry", "verify", "login_preflight_failed"),
        ),
        (make("PreLoginRequired"), ("relogin", "relogin", "login_required")),
        (make("ClientLoginRequired"), ("relogin", "relogin", "login_required")),
        (
            make("FeedbackRequired", comments_disabled=True),
            ("final", "final", "comments_disabled"),
        ),
        (
            make("FeedbackRequired", comment_error_key="comment_text_limit"),
            ("final", "final", "comment_refused"),
        ),
        (InvalidIdentifier(SECRET), ("final", "final", "invalid_target")),
        (ValueError(SECRET), ("final", "verify", "invalid_request")),
        (KeyError("payload"), ("retry", "verify", "reply_unexpected")),
        (AssertionError(SECRET), ("retry", "verify", "reply_unexpected")),
        (TypeError(SECRET), ("retry", "verify", "reply_unexpected")),
        (UnboundLocalError(SECRET), ("retry", "verify", "reply_unexpected")),
        (parse_error(), ("retry", "verify", "reply_unexpected")),
        (make("ClientGraphqlError"), ("retry", "verify", "refused_unclear")),
        (SearchIncomplete(SECRET), ("retry", "verify", "search_incomplete")),
        (SimilarWriteFound(SECRET), ("retry", "verify", "similar_found")),
        (RuntimeError(SECRET), ("retry", "verify", "unexpected_error")),
        (SessionUnreadable(SECRET), ("hold", "hold", "session_unreadable")),
        (DeviceChanged(SECRET), ("hold", "hold", "device_changed")),
        (SessionConflict(SECRET), ("retry", "retry", "session_replaced")),
        (UnknownAccount(SECRET), ("hold", "hold", "unknown_account")),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_each_error_is_classified(error: BaseException, expected: tuple[str, str, str]) -> None:
    assert outcomes_and_code(error) == expected


@pytest.mark.parametrize(
    ("code", "maybe_sent"),
    [(5, False), (6, False), (7, False), (60, False), (28, True), (56, True)],
)
def test_the_libcurl_code_shows_whether_a_write_was_sent(code: int, maybe_sent: bool) -> None:
    # Given the library's chain of exceptions: its own, httpx's, libcurl's
    def fail() -> None:
        try:
            try:
                raise RequestException(SECRET, CurlECode(code))
            except RequestException as curl:
                raise httpx.ConnectError("curl private transport failed") from curl
        except httpx.ConnectError as error:
            raise ig.ConnectProxyError(error) from None

    # When
    with pytest.raises(ig.ConnectProxyError) as raised:
        fail()

    # Then
    decision = classify(raised.value, writing=WRITE)
    assert decision.ambiguous is maybe_sent
    assert decision.outcome is (Outcome.VERIFY if maybe_sent else Outcome.RETRY)


def test_an_exception_that_is_its_own_cause_is_classified() -> None:
    error = make("ConnectProxyError")
    error.__cause__ = error
    assert classify(error, writing=WRITE).ambiguous


@pytest.mark.parametrize(
    ("kind", "seconds", "scope", "escalation"),
    [
        ("ClientThrottledError", 15 * 60, "account", None),
        ("PleaseWaitFewMinutes", 3600, "account", "double"),
        ("RateLimitError", 3600, "account", None),
        ("SentryBlock", 24 * 3600, "account", None),
        ("FeedbackRequired", 24 * 3600, "kind", "widen"),
    ],
)
def test_cooldowns_have_length_scope_and_escalation(
    kind: str, seconds: int, scope: str, escalation: str | None
) -> None:
    decision = classify(make(kind), writing=WRITE)
    assert decision.outcome is Outcome.COOL_DOWN
    assert (decision.cooldown_seconds, decision.scope) == (seconds, scope)
    assert decision.escalation == escalation


def all_decisions() -> list[ErrorDecision]:
    kinds = [kind for _, kind in inspect.getmembers(ig, inspect.isclass)]
    plain = [kind for kind in kinds if not issubclass(kind, ig.UnsupportedError)]
    errors = [kind(SECRET) for kind in plain if issubclass(kind, Exception)]
    return [classify(error, writing=writing) for error in errors for writing in (READ, WRITE)]


def test_no_decision_contains_text_of_the_exception() -> None:
    decisions = all_decisions()
    assert len(decisions) > 150
    for decision in decisions:
        assert "secret" not in repr(decision)
        assert "http" not in decision.message
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", decision.code)


def test_each_code_has_one_message_which_says_what_happens_next() -> None:
    by_code: dict[tuple[str, str], set[str]] = {}
    for decision in all_decisions():
        by_code.setdefault((decision.code, decision.outcome), set()).add(decision.message)
    for messages in by_code.values():
        (message,) = messages
        assert message.count(".") >= 2
