"""The gate before a password login."""

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
from actors.instagram.errors import classify
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
End = Literal["well", "badly", "cut short"]
#: Whether it is the first, and how it ends.
Login = tuple[bool, End]
AGAIN: Login = (False, "well")
FIRST_IN_VAIN: Login = (True, "badly")
ENDS: dict[End, BaseException | None] = {
    "well": None,
    "badly": ig.BadPassword(),
    "cut short": asyncio.CancelledError(),
}


def at_gate(url: str, steps: Callable[[LoginLimiter, VerificationCodes], Awaitable[Any]]) -> Any:
    """Run steps with a gate as a worker of its own would have; gives their result."""

    async def opened() -> Any:
        client = async_client(url, max_connections=2)
        codes = VerificationCodes(client, derive_keys(SECRET))
        try:
            return await steps(LoginLimiter(client, codes), codes)
        finally:
            await client.aclose()

    return asyncio.run(opened())


def leave(url: str, code: str = CODE) -> None:
    at_gate(url, lambda _, codes: codes.put("shop", code))


def log_in(url: str, first: bool, error: BaseException | None = None) -> str | None:
    """Log in from a worker of its own, to an end; gives the code that the login was given."""
    given: list[str | None] = []

    async def steps(gate: LoginLimiter, _codes: VerificationCodes) -> None:
        async with gate(SHOP, first) as code:
            given.append(code)
            if error is not None:
                raise error

    try:
        at_gate(url, steps)
    except BaseException as raised:
        if raised is not error:
            raise
    return given[0]


def _allowed(url: str, *logins: Login) -> int:
    """How many of these logins, one after another, were allowed."""
    count = 0
    for first, end in logins:
        try:
            log_in(url, first, ENDS[end])
        except ig.ReloginAttemptExceeded:
            continue
        count += 1
    return count


def test_after_the_first_login_one_more_a_day_goes_by_itself(
    store: redis.Redis, store_url: str
) -> None:
    assert _allowed(store_url, (True, "well"), *[AGAIN] * 3) == 2
    assert 0 < store.ttl("hg:logins:shop") <= 24 * 3600


@pytest.mark.parametrize(("end", "allowed"), [("well", 1), ("badly", 1), ("cut short", 2)])
def test_a_login_that_was_cut_short_is_made_up_for_once(
    store: redis.Redis, store_url: str, end: End, allowed: int
) -> None:
    assert _allowed(store_url, *[(False, end)] * 4) == allowed


def test_a_first_login_that_goes_on_failing_is_not_tried_for_ever(
    store: redis.Redis, store_url: str
) -> None:
    assert _allowed(store_url, *[FIRST_IN_VAIN] * 9) == MAX_FIRST_LOGINS


def test_the_day_begins_with_the_first_login_and_is_not_prolonged(
    store: redis.Redis, store_url: str
) -> None:
    _allowed(store_url, AGAIN)
    store.expire("hg:logins:shop", 5)
    assert _allowed(store_url, AGAIN) == 0
    assert store.ttl("hg:logins:shop") <= 5


# The code that a person left


@pytest.mark.parametrize("first", [True, False])
def test_a_login_is_given_the_code_once(store: redis.Redis, store_url: str, first: bool) -> None:
    leave(store_url)
    assert log_in(store_url, first) == CODE
    store.delete("hg:logins:shop")
    assert log_in(store_url, first) is None


def test_a_login_that_is_not_allowed_leaves_the_code(store: redis.Redis, store_url: str) -> None:
    assert _allowed(store_url, AGAIN) == 1
    leave(store_url)
    assert _allowed(store_url, AGAIN) == 0
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
def test_a_login_that_instagram_did_not_judge_gives_the_code_back(
    store: redis.Redis, store_url: str, error: BaseException
) -> None:
    leave(store_url)
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
def test_a_code_that_was_judged_is_not_tried_again(
    store: redis.Redis, store_url: str, error: BaseException
) -> None:
    leave(store_url)
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


def arrive(harness: GatewayHarness, account: AccountOptions) -> str | None:
    """Open the account's gateway in a process of its own; the verdict's code where it fails."""

    async def steps(gate: LoginLimiter, _codes: VerificationCodes) -> str | None:
        async with harness.gateway(account, gate=gate) as gateway:
            return await _verdict(gateway)

    verdict: str | None = at_gate(harness.store_url, steps)
    return verdict


async def _verdict(gateway: Gateway) -> str | None:
    try:
        await gateway.ensure_login()
    except ig.ClientError as error:
        return classify(error, writing=False).code
    return None


def test_a_code_left_after_the_challenge_answers_it_in_another_process_with_one_login(
    harness: GatewayHarness, store: redis.Redis
) -> None:
    account = challenged(harness)
    assert arrive(harness, account) == "challenge_required"
    assert harness.login_outcomes() == ["challenge_required"]
    leave(harness.store_url)
    assert arrive(harness, account) is None
    assert harness.login_outcomes() == ["challenge_required", "challenge_required", "ok"]
    assert [each["call"] for each in harness.fake_instagram.log()].count("login") == 2
    assert not store.exists(KEY)
    assert len(harness.fake_instagram.devices()) == 1


def test_a_wrong_code_is_used_up_and_the_next_one_answers(
    harness: GatewayHarness, store: redis.Redis
) -> None:
    account = challenged(harness)
    leave(harness.store_url, "000000")
    assert arrive(harness, account) == "login_refused"
    assert not store.exists(KEY)
    leave(harness.store_url)
    assert arrive(harness, account) is None


def test_a_code_of_the_moment_from_a_person_is_the_second_factor(
    harness: GatewayHarness, store: redis.Redis
) -> None:
    harness.fake_instagram.add_account("safe.shop", "pw-of-safe-shop", totp_seed=TOTP_SEED)
    account = harness.account(username="safe.shop", password="pw-of-safe-shop")
    assert arrive(harness, account) == "two_factor_required"
    leave(harness.store_url, str(InstagramClient.totp_generate_code(TOTP_SEED)))
    assert arrive(harness, account) is None
    assert harness.login_outcomes()[-1] == "ok"


def test_a_login_cut_off_before_the_code_keeps_it_for_the_next(
    harness: GatewayHarness, store: redis.Redis
) -> None:
    account = challenged(harness)
    leave(harness.store_url)
    harness.fake_instagram.fault("login", "drop_before")
    assert arrive(harness, account) == "connection_failed"
    assert arrive(harness, account) is None
    assert harness.login_outcomes() == ["challenge_required", "ok"]


def test_a_code_shows_in_no_log_error_or_stored_value(
    harness: GatewayHarness,
    store: redis.Redis,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG, "actors")
    account = challenged(harness, code="424242")
    said: list[str] = []
    with capture_logs() as lines:
        for code in (CODE, "424242"):
            leave(harness.store_url, code)
            said.append(plain_values(store))
            arrive(harness, account)
            said.append(plain_values(store))
    said += [*capfd.readouterr(), caplog.text, repr(lines)]
    assert not [text for text in said if CODE in text or "424242" in text]
