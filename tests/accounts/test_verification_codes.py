"""Codes that people leave for a login."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from actors.instagram.error_policies import LOGIN_REFUSED as REFUSED
from actors.instagram.error_policies import POLICIES
from actors.instagram.errors import Outcome
from service.accounts.encryption import derive_keys
from service.accounts.verification_codes import (
    ANSWERABLE,
    KEEP_MS,
    TakenCode,
    VerificationCodes,
    normalise_code,
)
from service.redis.client import async_client
from tests.support.session_store import SECRET

CODE = "719364"
KEY = "hg:code:shop"


def on_codes(
    url: str, steps: Callable[[VerificationCodes], Awaitable[Any]], secret: str = SECRET
) -> Any:
    """Run steps as a process of its own would; gives their result."""

    async def opened() -> Any:
        client = async_client(url, max_connections=1)
        try:
            return await steps(VerificationCodes(client, derive_keys(secret)))
        finally:
            await client.aclose()

    return asyncio.run(opened())


def put(url: str, code: str = CODE) -> None:
    on_codes(url, lambda codes: codes.put("shop", code))


def take(url: str, secret: str = SECRET) -> TakenCode | None:
    taken: TakenCode | None = on_codes(url, lambda codes: codes.take("shop"), secret)
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
def test_spaces_and_dashes_are_no_part_of_a_code(raw: str, code: str) -> None:
    assert normalise_code(raw) == code


@pytest.mark.parametrize(
    "raw", ["", "   ", "123", "1" * 13, "12345!", "\uff11\uff12\uff13\uff14", "123\x00456"]
)
def test_what_cannot_be_a_code_is_refused_and_not_repeated(raw: str) -> None:
    with pytest.raises(ValueError, match="must be 4 to 12") as refusal:
        normalise_code(raw)
    assert not raw.strip() or raw not in str(refusal.value)


def test_a_code_is_kept_for_a_week_and_taken_once_by_another_process(
    store: redis.Redis, store_url: str
) -> None:
    put(store_url)
    assert KEEP_MS - 60_000 < store.pttl(KEY) <= KEEP_MS == 7 * 24 * 3600 * 1000
    taken = take(store_url)
    assert taken is not None
    assert taken.code == CODE
    assert take(store_url) is None
    assert store.dbsize() == 0


def test_a_newer_code_replaces_the_one_before(store: redis.Redis, store_url: str) -> None:
    put(store_url)
    put(store_url, "newer1")
    taken = take(store_url)
    assert taken is not None
    assert taken.code == "newer1"


def test_a_code_put_back_is_kept_no_longer_than_it_would_have_been(
    store: redis.Redis, store_url: str
) -> None:
    put(store_url)
    store.pexpire(KEY, 60_000)
    taken = take(store_url)
    assert taken is not None
    on_codes(store_url, lambda codes: codes.put_back("shop", taken))
    assert 0 < store.pttl(KEY) <= 60_000
    again = take(store_url)
    assert again is not None
    assert again.code == CODE


def test_a_code_put_back_does_not_replace_a_newer_one(store: redis.Redis, store_url: str) -> None:
    put(store_url)
    taken = take(store_url)
    assert taken is not None
    put(store_url, "newer1")
    on_codes(store_url, lambda codes: codes.put_back("shop", taken))
    newer = take(store_url)
    assert newer is not None
    assert newer.code == "newer1"


def test_a_code_outlives_a_rotation_of_the_secret_key(store: redis.Redis, store_url: str) -> None:
    put(store_url)
    taken = take(store_url, f"{'another secret of more than 32 characters'},{SECRET}")
    assert taken is not None
    assert taken.code == CODE


def test_a_code_of_another_secret_key_is_dropped_with_a_warning(
    store: redis.Redis, store_url: str
) -> None:
    put(store_url)
    with capture_logs() as lines:
        assert take(store_url, "another secret key of more than 32 characters") is None
    assert [(line["log_level"], line["account"]) for line in lines] == [("warning", "shop")]
    assert not store.exists(KEY)


def test_a_code_is_in_no_repr_and_not_plain_in_the_store(
    store: redis.Redis, store_url: str
) -> None:
    put(store_url)
    sealed = store.get(KEY)
    assert isinstance(sealed, bytes)
    assert CODE.encode() not in sealed
    assert CODE not in repr(take(store_url))


def test_the_holds_that_a_code_answers_are_ones_that_need_a_person() -> None:
    rules = {rule.code: rule.outcome for rule in (*POLICIES.values(), REFUSED)}
    assert {rules.get(code) for code in ANSWERABLE} == {Outcome.HOLD}
