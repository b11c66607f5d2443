"""Verification codes for logins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from actors.instagram import error_policies
from actors.instagram.errors import Outcome
from service.accounts.encryption import derive_keys
from service.accounts.verification_codes import (
    CODE_HOLDS,
    CODE_TTL_MS,
    TakenCode,
    VerificationCodes,
    normalise_code,
)
from service.redis.client import async_client
from tests.support.session_store import SECRET

CODE = "719364"
KEY = "hg:code:shop"


def with_codes(
    url: str, steps: Callable[[VerificationCodes], Awaitable[Any]], secret: str = SECRET
) -> Any:
    """Run steps over a client of their own, as another process would; returns their result."""

    async def opened() -> Any:
        client = async_client(url, max_connections=1)
        try:
            return await steps(VerificationCodes(client, derive_keys(secret)))
        finally:
            await client.aclose()

    return asyncio.run(opened())


def put(url: str, code: str = CODE) -> None:
    with_codes(url, lambda codes: codes.put("shop", code))


def take(url: str, secret: str = SECRET) -> TakenCode | None:
    taken: TakenCode | None = with_codes(url, lambda codes: codes.take("shop"), secret)
    return taken


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("123456", "123456"),
        (" 123 456\n", "123456"),
        ("1234-5678", "12345678"),
        ("aB3d", "aB3d"),
        ("1" * 12, "1" * 12),
    ],
)
def test_spaces_and_dashes_are_removed_from_a_code(raw: str, code: str) -> None:
    assert normalise_code(raw) == code


@pytest.mark.parametrize(
    "raw", ["", "   ", "123", "1" * 13, "12345!", "\uff11\uff12\uff13\uff14", "123\x00456"]
)
def test_an_invalid_code_is_rejected_without_repeating_it(raw: str) -> None:
    with pytest.raises(ValueError, match="must be 4 to 12") as raised:
        normalise_code(raw)
    assert not raw.strip() or raw not in str(raised.value)


def test_a_code_is_stored_for_a_week_and_taken_once_by_another_process(
    store: redis.Redis, store_url: str
) -> None:
    put(store_url)
    assert CODE_TTL_MS - 60_000 < store.pttl(KEY) <= CODE_TTL_MS == 7 * 24 * 3600 * 1000
    taken = take(store_url)
    assert taken is not None
    assert taken.code == CODE
    assert take(store_url) is None
    assert store.keys() == [b"hg:audit"]
    assert CODE not in str(store.xrange("hg:audit"))


def test_a_newer_code_replaces_an_older_one(store: redis.Redis, store_url: str) -> None:
    put(store_url)
    put(store_url, "newer1")
    taken = take(store_url)
    assert taken is not None
    assert taken.code == "newer1"


def test_a_code_put_back_expires_when_it_would_have_anyway(
    store: redis.Redis, store_url: str
) -> None:
    put(store_url)
    store.pexpire(KEY, 60_000)
    taken = take(store_url)
    assert taken is not None
    with_codes(store_url, lambda codes: codes.put_back("shop", taken))
    assert 0 < store.pttl(KEY) <= 60_000
    again = take(store_url)
    assert again is not None
    assert again.code == CODE


def test_a_code_put_back_does_not_replace_a_newer_one(store: redis.Redis, store_url: str) -> None:
    put(store_url)
    taken = take(store_url)
    assert taken is not None
    put(store_url, "newer1")
    with_codes(store_url, lambda codes: codes.put_back("shop", taken))
    newer = take(store_url)
    assert newer is not None
    assert newer.code == "newer1"


def test_a_code_survives_a_rotation_of_the_secret_key(store: redis.Redis, store_url: str) -> None:
    put(store_url)
    taken = take(store_url, f"{'another secret of more than 32 characters'},{SECRET}")
    assert taken is not None
    assert taken.code == CODE


def test_a_code_encrypted_with_another_key_is_dropped_with_a_warning(
    store: redis.Redis, store_url: str
) -> None:
    put(store_url)
    with capture_logs() as lines:
        assert take(store_url, "another secret key of more than 32 characters") is None
    assert [(line["log_level"], line["account"]) for line in lines] == [("warning", "shop")]
    assert not store.exists(KEY)


def test_a_code_is_neither_in_a_repr_nor_in_plain_text_in_the_store(
    store: redis.Redis, store_url: str
) -> None:
    put(store_url)
    encrypted = store.get(KEY)
    assert isinstance(encrypted, bytes)
    assert CODE.encode() not in encrypted
    assert CODE not in repr(take(store_url))


def test_the_holds_a_code_can_end_are_ones_that_need_a_person() -> None:
    rules = {rule.code: rule.outcome for rule in error_policies.ALL}
    assert {rules.get(code) for code in CODE_HOLDS} == {Outcome.HOLD}
