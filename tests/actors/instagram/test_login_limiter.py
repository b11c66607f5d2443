"""The limiter of password logins, and the codes it hands out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import pytest
import redis
from aiograpi import exceptions as ig
from structlog.testing import capture_logs

from actors.instagram.client import InstagramClient
from actors.instagram.errors import ClassifiedError, classify
from actors.instagram.gateway import Gateway
from actors.instagram.login_limiter import MAX_FIRST_LOGINS, LoginLimiter
from actors.instagram.options import AccountOptions
from deploy.local.instagram.client import FakeInstagram
from service.accounts.encryption import derive_keys
from service.accounts.session_store import SessionConflict
from service.accounts.verification_codes import VerificationCodes
from service.redis.client import async_client
from tests.support.gateway import GatewayHarness
from tests.support.session_store import SECRET
from tests.support.store_dump import plain_values

SHOP = AccountOptions("shop", "the.shop", "password")
CODE = "719364"
KEY = "hg:code:shop"
TOTP_SEED = "JBSWY3DPEHPK3PXP"
Ending = Literal["well", "badly", "cut short"]
#: Whether it is the account's first login, and how it ends.
Login = tuple[bool, Ending]
RELOGIN: Login = (False, "well")
FAILED_FIRST: Login = (True, "badly")
ERRORS: dict[Ending, BaseException | None] = {
    "well": None,
    "badly": ig.BadPassword(),
    "cut short": asyncio.CancelledError(),
}


def with_limiter(
    url: str, steps: Callable[[LoginLimiter, VerificationCodes], Awaitable[Any]]
) -> Any:
    """Run steps with a limiter, as in a separate worker; returns their result."""

    async def open_limiter() -> Any:
        client = async_client(url, max_connections=2)
        codes = VerificationCodes(client, derive_keys(SECRET))
        try:
            return await steps(LoginLimiter(client, codes), codes)
        finally:
            await client.aclose()

    return asyncio.run(open_limiter())


def supply_code(url: str, code: str = CODE) -> None:
    with_limiter(url, lambda _, codes: codes.put("shop", code))


def log_in(url: str, first: bool, error: BaseException | None = None) -> str | None:
    """Log in from a separate worker, ending with an error or well; returns the login's code."""
    codes_given: list[str | None] = []

    async def steps(limiter: LoginLimiter, _codes: VerificationCodes) -> None:
        async with limiter(SHOP, first) as code:
            codes_given.append(code)
            if error is not None:
                raise error

    try:
        with_limiter(url, steps)
    except BaseException as raised:
        if raised is not error:
            raise
    return codes_given[0]


def count_allowed(url: str, *logins: Login) -> int:
    """How many of these successive logins are allowed."""
    count = 0
    for first, end in logins:
        try:
            log_in(url, first, ERRORS[end])
        except ig.ReloginAttemptExceeded:
            continue
        count += 1
    return count


def test_one_automatic_relogin_a_day_is_allowed(store: redis.Redis, store_url: str) -> None:
    assert count_allowed(store_url, (True, "well"), *[RELOGIN] * 3) == 2
    assert 0 < store.ttl("hg:logins:shop") <= 24 * 3600


@pytest.mark.parametrize(("end", "allowed"), [("well", 1), ("badly", 1), ("cut short", 2)])
def test_an_interrupted_login_is_made_up_for_once(
    store: redis.Redis, store_url: str, end: Ending, allowed: int
) -> None:
    assert count_allowed(store_url, *[(False, end)] * 4) == allowed


def test_failing_first_logins_are_limited(store: redis.Redis, store_url: str) -> None:
    assert count_allowed(store_url, *[FAILED_FIRST] * 9) == MAX_FIRST_LOGINS


def test_the_day_starts_with_the_first_login_and_is_not_extended(
    store: redis.Redis, store_url: str
) -> None:
    count_allowed(store_url, RELOGIN)
    store.expire("hg:logins:shop", 5)
    assert count_allowed(store_url, RELOGIN) == 0
    assert store.ttl("hg:logins:shop") <= 5


def test_an_allowed_relogin_does_not_extend_the_day(store: redis.Redis, store_url: str) -> None:
    count_allowed(store_url, (True, "well"))
    store.expire("hg:logins:shop", 5)
    assert count_allowed(store_url, RELOGIN) == 1
    assert 0 < store.ttl("hg:logins:shop") <= 5


# Verification codes


@pytest.mark.parametrize("first", [True, False])
def test_a_code_is_used_for_one_login(store: redis.Redis, store_url: str, first: bool) -> None:
    supply_code(store_url)
    assert log_in(store_url, first) == CODE
    store.delete("hg:logins:shop")
    assert log_in(store_url, first) is None


def test_a_forbidden_login_keeps_the_code(store: redis.Redis, store_url: str) -> None:
    assert count_allowed(store_url, RELOGIN) == 1
    supply_code(store_url)
    assert count_allowed(store_url, RELOGIN) == 0
    assert store.exists(KEY)


@pytest.mark.parametrize(
    "error",
    [
        asyncio.CancelledError(),
        TimeoutError(),
        ig.ClientConnectionError(),
        ig.ClientUnknownError(),
        ig.ProxyAddressIsBlocked(),
        ig.PleaseWaitFewMinutes(),
        SessionConflict("a newer session is stored"),
        redis.ConnectionError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_code_that_instagram_did_not_check_is_put_back(
    store: redis.Redis, store_url: str, error: BaseException
) -> None:
    supply_code(store_url)
    assert log_in(store_url, True, error) == CODE
    assert log_in(store_url, True) == CODE


@pytest.mark.parametrize(
    "error",
    [
        ig.ChallengeRequired(),
        ig.TwoFactorRequired(),
        ig.BadPassword(),
        ig.ClientBadRequestError(),
        ValueError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_code_that_instagram_checked_is_used_up(
    store: redis.Redis, store_url: str, error: BaseException
) -> None:
    supply_code(store_url)
    assert log_in(store_url, True, error) == CODE
    assert log_in(store_url, True) is None


# With Instagram


@pytest.fixture
def harness(fake_instagram: FakeInstagram, store: redis.Redis, store_url: str) -> GatewayHarness:
    assert store.dbsize() == 0
    return GatewayHarness(fake_instagram, store_url)


def challenged(harness: GatewayHarness, code: str = CODE) -> AccountOptions:
    """An account whose next login needs a code."""
    harness.fake_instagram.add_account("new.shop", "pw-of-new-shop", profile_code=code)
    return harness.account(username="new.shop", password="pw-of-new-shop")


def try_login(harness: GatewayHarness, account: AccountOptions) -> str | None:
    """Log in from a separate process; returns the error's code, or None."""

    async def steps(limiter: LoginLimiter, _codes: VerificationCodes) -> str | None:
        async with harness.gateway(account, login_guard=limiter) as gateway:
            return await error_code(gateway)

    code: str | None = with_limiter(harness.store_url, steps)
    return code


async def error_code(gateway: Gateway) -> str | None:
    try:
        await gateway.ensure_login()
    except (ig.ClientError, ClassifiedError) as error:
        return classify(error, writing=False).code
    return None


def test_a_code_answers_the_challenge_in_another_process_with_one_login(
    harness: GatewayHarness, store: redis.Redis
) -> None:
    account = challenged(harness)
    assert try_login(harness, account) == "challenge_required"
    assert harness.login_outcomes() == ["challenge_required"]
    supply_code(harness.store_url)
    assert try_login(harness, account) is None
    assert harness.login_outcomes() == ["challenge_required", "challenge_required", "ok"]
    assert [entry["call"] for entry in harness.fake_instagram.log()].count("login") == 2
    assert not store.exists(KEY)
    assert len(harness.fake_instagram.devices()) == 1


def test_a_wrong_code_is_used_up_and_the_next_one_works(
    harness: GatewayHarness, store: redis.Redis
) -> None:
    account = challenged(harness)
    supply_code(harness.store_url, "000000")
    assert try_login(harness, account) == "login_refused"
    assert not store.exists(KEY)
    supply_code(harness.store_url)
    assert try_login(harness, account) is None


def test_a_totp_code_from_a_person_is_the_second_factor(
    harness: GatewayHarness, store: redis.Redis
) -> None:
    harness.fake_instagram.add_account("safe.shop", "pw-of-safe-shop", totp_seed=TOTP_SEED)
    account = harness.account(username="safe.shop", password="pw-of-safe-shop")
    assert try_login(harness, account) == "two_factor_required"
    supply_code(harness.store_url, str(InstagramClient.totp_generate_code(TOTP_SEED)))
    assert try_login(harness, account) is None
    assert harness.login_outcomes()[-1] == "ok"


def test_a_login_that_fails_before_the_code_keeps_it_for_the_next(
    harness: GatewayHarness, store: redis.Redis
) -> None:
    account = challenged(harness)
    supply_code(harness.store_url)
    harness.fake_instagram.fault("login", "drop_before")
    assert try_login(harness, account) == "connection_failed"
    assert try_login(harness, account) is None
    assert harness.login_outcomes() == ["challenge_required", "ok"]


def test_a_code_appears_in_no_log_error_or_stored_value(
    harness: GatewayHarness,
    store: redis.Redis,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG, "actors")
    account = challenged(harness, code="424242")
    outputs: list[str] = []
    with capture_logs() as lines:
        for code in (CODE, "424242"):
            supply_code(harness.store_url, code)
            outputs.append(plain_values(store))
            try_login(harness, account)
            outputs.append(plain_values(store))
    outputs += [*capfd.readouterr(), caplog.text, repr(lines)]
    assert not [text for text in outputs if CODE in text or "424242" in text]
