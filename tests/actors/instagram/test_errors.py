"""The verdict on every error of the client library, made by real replies or by hand."""

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
    InvalidInstagramId,
    Outcome,
    UnknownAccount,
    classify,
)
from actors.instagram.options import ClientOptions
from actors.instagram.reconcile import SearchIncomplete
from deploy.local.instagram.client import FakeInstagram
from deploy.local.instagram.replies import REFUSALS
from service.accounts.session_store import DeviceChanged, SessionConflict, SessionUnreadable

SECRET = "sessionid=very-secret"
POST = "3700000000000000001"
READ, WRITE = False, True

# By the fake Instagram's name of a refusal: outcome of a read, outcome of a write, code.
EXPECTED = {
    "please_wait": ("back_off", "back_off", "please_wait"),
    "throttled": ("back_off", "back_off", "rate_limited"),
    "rate_limit": ("back_off", "back_off", "rate_limit_error"),
    "sentry_block": ("back_off", "back_off", "sentry_block"),
    "feedback_required": ("back_off", "back_off", "feedback_required"),
    "spam": ("back_off", "back_off", "feedback_required"),
    "challenge_required": ("person", "person", "challenge_required"),
    "masked_challenge": ("person", "person", "challenge_required"),
    "account_suspended": ("person", "person", "account_suspended"),
    "checkpoint_required": ("person", "person", "checkpoint_required"),
    "consent_required": ("person", "person", "consent_required"),
    "geoblock_required": ("person", "person", "geoblock_required"),
    "needs_upgrade": ("person", "person", "client_outdated"),
    "two_factor_required": ("person", "person", "two_factor_required"),
    "bad_password": ("person", "person", "bad_password"),
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
    "unknown": ("retry", "look", "refused_unclear"),
    "bad_request": ("retry", "look", "refused_unclear"),
    "forbidden": ("retry", "look", "refused_unclear"),
    "not_found": ("retry", "look", "refused_unclear"),
    "status_fail": ("retry", "look", "refused_unclear"),
    "error_with_title": ("retry", "look", "refused_unclear"),
    "server_error": ("retry", "look", "server_error"),
    "bad_gateway": ("retry", "look", "server_error"),
    "not_json": ("retry", "look", "reply_unreadable"),
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


def test_every_refusal_of_the_fake_instagram_gets_its_verdict(
    fake_instagram: FakeInstagram,
) -> None:
    async def raised_by(name: str, settings: dict[str, Any]) -> Exception:
        call = REFUSALS[name].call
        fake_instagram.fault(call, error=name)
        options = ClientOptions(
            fake_instagram.proxy_url, str(fake_instagram.ca_path), human_pace=False
        )
        client = await build_client(options, {} if call == "login" else settings)
        try:
            await CALLS[call](client)
        except Exception as error:  # noqa: BLE001 -- the errors are what is tested
            return error
        finally:
            await close_client(client)
            fake_instagram.clear_faults()
        pytest.fail(f"{name}: nothing was raised")

    async def all_of_them() -> dict[str, tuple[str, str, str]]:
        options = ClientOptions(
            fake_instagram.proxy_url, str(fake_instagram.ca_path), human_pace=False
        )
        client = await build_client(options)
        await client.login("shop", "shop-password")
        settings = client.exportable_settings
        await close_client(client)
        return {name: _row(await raised_by(name, settings)) for name in REFUSALS}

    assert asyncio.run(all_of_them()) == EXPECTED


def _row(error: BaseException) -> tuple[str, str, str]:
    read, write = classify(error, writing=READ), classify(error, writing=WRITE)
    assert write.ambiguous == (write.outcome is Outcome.LOOK)
    assert not read.ambiguous
    return read.outcome, write.outcome, write.code


def made(kind: str, **fields: Any) -> BaseException:
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


def server_error() -> BaseException:
    reply = httpx.Response(502, request=httpx.Request("GET", "https://i.instagram.com"))
    return made("ClientError", response=reply)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (made("ConnectProxyError"), ("retry", "look", "connection_failed")),
        (made("ClientConnectionError"), ("retry", "look", "connection_failed")),
        (made("ClientIncompleteReadError"), ("retry", "look", "reply_incomplete")),
        (made("ClientUnknownError"), ("retry", "look", "server_error")),
        (made("ClientJSONDecodeError"), ("retry", "look", "reply_unreadable")),
        (made("ClientRequestTimeout"), ("retry", "look", "timed_out")),
        (server_error(), ("retry", "look", "server_error")),
        (httpx.ReadTimeout(SECRET), ("retry", "look", "timed_out")),
        (httpx.RemoteProtocolError(SECRET), ("retry", "look", "connection_failed")),
        (httpx.ProxyError("502 Bad Gateway"), ("retry", "look", "connection_failed")),
        (OSError(SECRET), ("retry", "look", "connection_failed")),
        (TimeoutError(), ("retry", "look", "timed_out")),
        (asyncio.CancelledError(), ("retry", "look", "interrupted")),
        (json.JSONDecodeError(SECRET, "", 0), ("retry", "look", "reply_unreadable")),
        (made("AuthRequiredProxyError"), ("fix_proxy", "fix_proxy", "proxy_auth_required")),
        (
            httpx.ProxyError("407 Proxy Authentication Required"),
            ("fix_proxy", "fix_proxy", "proxy_auth_required"),
        ),
        (httpx.ProxyError("403 Forbidden"), ("fix_proxy", "fix_proxy", "proxy_refused")),
        (made("TermsAccept"), ("person", "person", "terms_required")),
        (made("TermsUnblock"), ("person", "person", "terms_required")),
        (made("BadCredentials"), ("person", "person", "bad_credentials")),
        (made("ReloginAttemptExceeded"), ("person", "person", "relogin_exceeded")),
        (made("ChallengeUnknownStep"), ("person", "person", "challenge_required")),
        (made("CaptchaChallengeRequired"), ("person", "person", "challenge_required")),
        (
            made("ClientError", logged_in=False, result={"layout": SECRET}),
            ("person", "person", "login_refused"),
        ),
        (
            made("ClientError", logged_in=False, result={}),
            ("retry", "look", "login_preflight_failed"),
        ),
        (made("PreLoginRequired"), ("relogin", "relogin", "login_required")),
        (made("ClientLoginRequired"), ("relogin", "relogin", "login_required")),
        (
            made("FeedbackRequired", comments_disabled=True),
            ("final", "final", "comments_disabled"),
        ),
        (
            made("FeedbackRequired", comment_error_key="comment_text_limit"),
            ("final", "final", "comment_refused"),
        ),
        (InvalidInstagramId(SECRET), ("final", "final", "invalid_target")),
        (ValueError(SECRET), ("final", "look", "invalid_request")),
        (KeyError("payload"), ("retry", "look", "reply_unexpected")),
        (AssertionError(SECRET), ("retry", "look", "reply_unexpected")),
        (TypeError(SECRET), ("retry", "look", "reply_unexpected")),
        (UnboundLocalError(SECRET), ("retry", "look", "reply_unexpected")),
        (parse_error(), ("retry", "look", "reply_unexpected")),
        (made("ClientGraphqlError"), ("retry", "look", "refused_unclear")),
        (SearchIncomplete(SECRET), ("retry", "look", "search_incomplete")),
        (RuntimeError(SECRET), ("retry", "look", "unexpected_error")),
        (SessionUnreadable(SECRET), ("person", "person", "session_unreadable")),
        (DeviceChanged(SECRET), ("person", "person", "device_changed")),
        (SessionConflict(SECRET), ("retry", "retry", "session_replaced")),
        (UnknownAccount(SECRET), ("person", "person", "unknown_account")),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_an_error_gets_its_verdict(error: BaseException, expected: tuple[str, str, str]) -> None:
    assert _row(error) == expected


@pytest.mark.parametrize(
    ("code", "sent"), [(5, False), (6, False), (7, False), (60, False), (28, True), (56, True)]
)
def test_whether_a_write_was_sent_is_told_by_the_libcurl_code(code: int, sent: bool) -> None:
    # Given the chain that the library makes: its own error, httpx's, libcurl's
    def failing() -> None:
        try:
            try:
                raise RequestException(SECRET, CurlECode(code))
            except RequestException as curl:
                raise httpx.ConnectError("curl private transport failed") from curl
        except httpx.ConnectError as error:
            raise ig.ConnectProxyError(error) from None

    # When
    with pytest.raises(ig.ConnectProxyError) as raised:
        failing()

    # Then
    verdict = classify(raised.value, writing=WRITE)
    assert verdict.ambiguous is sent
    assert verdict.outcome is (Outcome.LOOK if sent else Outcome.RETRY)


def test_an_exception_that_causes_itself_is_still_judged() -> None:
    error = made("ConnectProxyError")
    error.__cause__ = error
    assert classify(error, writing=WRITE).ambiguous


@pytest.mark.parametrize(
    ("kind", "seconds", "scope"),
    [
        ("ClientThrottledError", 15 * 60, "account"),
        ("PleaseWaitFewMinutes", 3600, "account"),
        ("FeedbackRequired", 24 * 3600, "kind"),
    ],
)
def test_a_rest_has_its_length_and_scope(kind: str, seconds: int, scope: str) -> None:
    verdict = classify(made(kind), writing=WRITE)
    assert (verdict.outcome, verdict.cooldown_seconds, verdict.scope) == (
        Outcome.BACK_OFF,
        seconds,
        scope,
    )


def every_verdict() -> list[ErrorDecision]:
    kinds = [kind for _, kind in inspect.getmembers(ig, inspect.isclass)]
    made_by_text = [kind for kind in kinds if not issubclass(kind, ig.UnsupportedError)]
    errors = [kind(SECRET) for kind in made_by_text if issubclass(kind, Exception)]
    return [classify(error, writing=writing) for error in errors for writing in (READ, WRITE)]


def test_no_verdict_carries_anything_of_the_exception() -> None:
    verdicts = every_verdict()
    assert len(verdicts) > 150
    for verdict in verdicts:
        assert "secret" not in repr(verdict)
        assert "http" not in verdict.message
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", verdict.code)


def test_the_message_of_a_code_is_always_the_same_and_says_what_happens_next() -> None:
    by_code: dict[tuple[str, str], set[str]] = {}
    for verdict in every_verdict():
        by_code.setdefault((verdict.code, verdict.outcome), set()).add(verdict.message)
    for messages in by_code.values():
        (message,) = messages
        assert message.count(".") >= 2
