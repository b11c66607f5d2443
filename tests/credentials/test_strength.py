"""Keys and secrets that anybody would try are refused; those that are made or given pass."""

from __future__ import annotations

import base64
import time
from random import Random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.credentials.strength import (
    MIN_ENCRYPTION_BITS,
    check_sender_secret,
    has_entropy,
)

GUESSABLE = [
    "a" * 64,
    "abcabcabcabcabcabcabc",
    "abababababababababababab",
    "0123456789012345678901234567890123456789",
    "9876543210987654",
    "0123456789abcdef0123456789abcdef",
    "fedcba9876543210",
    "abcdefghijklmnopqrstuvwxyz",
    "1111222233334444",
    "aaaaaaaabbbbbbbbccccccccdddddddd",
    "00112233445566778899aabbccddeeff",
    "a1b2c3d4e5f6g7h8",
    "k1k1k1k1k1k1k1k1",
    "deadbeefdeadbeefdeadbeefdeadbeef",
    "qwertyuiopasdfghjklzxcvbnm",
    "QWERTZUIOPasdfghjkl",
    "2026010120260101",
    "changeme-changeme-changeme-changeme",
    "CHANGE_ME_CHANGE_ME_CHANGE_ME",
    "your-secret-key-here-please-change-me",
    "<your-api-key-goes-here>",
    "replace-this-with-a-long-random-string",
    "passwordpasswordpassword",
    "password1234567890",
    "my-super-secret-api-key-1234",
    "django-insecure-secret-key",
    "secret-secret-secret-secret-secret",
    "test-api-key-0123456789abcdef",
    "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
    "................................",
    "generate-with-openssl-rand-hex-32",
    "<openssl rand -hex 32>",
    "$(openssl rand -base64 32)",
    "P@ssw0rd!P@ssw0rd!",
    "sup3r-s3cr3t-p@ssw0rd",
    "11112222333344445555",
    "0246813579024681357",
    "",
]


@pytest.mark.parametrize("key", GUESSABLE)
def test_what_anybody_would_try_has_no_entropy(key: str) -> None:
    assert not has_entropy(key)


@pytest.mark.parametrize(
    "key",
    [
        "the-first-caller's-own-key",
        "correct horse battery staple",
        "Tr0ub4dor&3-and-his-zebra",
        "8f742231b10e8888abcd99yyyzzz85a5",
    ],
)
def test_a_phrase_of_ones_own_is_enough_for_an_api_key(key: str) -> None:
    assert has_entropy(key)


def random_keys(bits: int) -> list[str]:
    """Random keys as openssl, uuidgen and Python's `secrets` write them."""
    random = Random(bits)
    numbers = [random.getrandbits(bits) for _ in range(300)]
    encoded = [base64.b64encode(n.to_bytes(bits // 8, "big")).decode() for n in numbers]
    return [*(f"{number:0{bits // 4}x}" for number in numbers), *encoded]


@pytest.mark.parametrize("bits", [128, 192, 256])
def test_random_keys_are_never_refused(bits: int) -> None:
    assert all(has_entropy(key, MIN_ENCRYPTION_BITS) for key in random_keys(bits))


def test_the_shortest_random_keys_are_not_refused() -> None:
    random = Random(16)
    assert all(has_entropy(f"{random.getrandbits(64):016x}") for _ in range(2000))


@given(st.uuids(version=4))
def test_a_random_uuid_is_a_key(uuid: UUID) -> None:
    assert has_entropy(str(uuid))


@settings(max_examples=200)
@given(st.text(min_size=1, max_size=6), st.integers(16, 60))
def test_what_is_short_is_no_better_for_being_repeated(unit: str, length: int) -> None:
    assert not has_entropy((unit * length)[:length])


FROM_PROVIDERS = [
    "whsec_4f1c2b0e9d8a7f6e5d4c3b2a19081706",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "v1,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "polar_whs_Wn8vGqkVp1",
    "shpss_0123456789abcdef0123456789abcdef",
    "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",
    "pdl_ntfset_01gkpjp8bkm3tm53kdgkx6sms7_6h3qd3uFSi9YCD3OLYAShQI90XTI5vEI",
    "8f742231b10e8888abcd99yyyzzz85a5",
    "It's a Secret to Everybody",
    "whsec_test_secret",
    "shpss_0123456789abcdef0123456789abcdef",
    "blue house",
]


@pytest.mark.parametrize("secret", FROM_PROVIDERS)
def test_what_senders_make_and_people_choose_is_accepted(secret: str) -> None:
    check_sender_secret(secret)


@pytest.mark.parametrize("bits", [128, 192, 256])
@pytest.mark.parametrize("prefix", ["", "whsec_", "shpss_", "pdl_ntfset_"])
def test_every_random_secret_is_accepted(prefix: str, bits: int) -> None:
    for key in random_keys(bits):
        check_sender_secret(prefix + key)


@pytest.mark.parametrize(
    "secret",
    [
        "hunter2",
        "whsec_hunter2",
        "v1,whsec_abc",
        "aaaaaaaa",
        "whsec_aaaaaaaaaaaaaaaaaaaaaaaa",
        "abcabcabcabc",
        "12345678",
        "whsec_0123456789",
        "changeme",
        "Change-Me!",
        "whsec_your_signing_secret",
        "<your webhook secret here>",
        "password123",
        "whsec_...........",
        "whsec_xxxxxxxxxxxx",
        "whsec_YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh",
        "whsec_$(openssl rand -base64 32)",
        "P@ssw0rd!",
        "shopshop",
        "11223344",
    ],
)
def test_a_senders_secret_that_anybody_would_try_is_refused_unseen(secret: str) -> None:
    with pytest.raises(ValueError, match="openssl rand -hex 32") as raised:
        check_sender_secret(secret)
    assert secret not in str(raised.value)


def test_an_endless_value_is_judged_at_once() -> None:
    before = time.process_time()
    has_entropy("secret" * 200_000)
    with pytest.raises(ValueError, match="easy to guess"):
        check_sender_secret("changeme" * 200_000)
    assert time.process_time() - before < 1
