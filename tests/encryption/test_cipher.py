"""Values encrypted at rest: readable under their keys and in their places, and nowhere else."""

from __future__ import annotations

import pytest

from service.encryption import places
from service.encryption.cipher import MAGIC, MAGIC_TEXT, Cipher, Unreadable, is_encrypted
from service.encryption.keys import SecretKeyInvalid

OLD, NEW = "o" * 32, "n" * 32
PLACE = places.job_text("job_1")


@pytest.mark.parametrize("plain", [b"", b"Thank you", b"\x00" * 5000])
def test_a_value_is_read_as_it_was_written_and_is_not_stored_plain(plain: bytes) -> None:
    stored = Cipher.of(OLD).encrypt(plain, PLACE)
    assert Cipher.of(OLD).decrypt(stored, PLACE) == plain
    assert is_encrypted(stored)
    assert plain == b"" or plain not in stored


def test_a_text_is_stored_as_ascii_that_says_what_it_is() -> None:
    stored = Cipher.of(OLD).encrypt_text("Danke, Zoë! \U0001f389", PLACE)
    assert stored.isascii()
    assert stored.startswith(MAGIC_TEXT)
    assert Cipher.of(OLD).decrypt_text(stored, PLACE) == "Danke, Zoë! \U0001f389"


def test_equal_values_are_stored_differently() -> None:
    cipher = Cipher.of(OLD)
    assert len({cipher.encrypt(b"Hello", PLACE) for _ in range(100)}) == 100


def test_a_value_without_encryption_is_returned_as_it_is() -> None:
    assert Cipher.of(OLD).decrypt(b"\x28\xb5\x2f\xfd plain", PLACE) == b"\x28\xb5\x2f\xfd plain"


def test_a_value_is_unreadable_in_every_other_place() -> None:
    cipher = Cipher.of(OLD)
    every = [
        places.job_text("job_1"),
        places.job_text("job_2"),
        places.job_photo("job_1"),
        places.event_body("stripe", "evt_1", "f1"),
        places.event_body("stripe", "evt_1", "f2"),
        places.event_body("stripe", "evt_2", "f1"),
        places.event_body("other", "evt_1", "f1"),
    ]
    for own in every:
        stored = cipher.encrypt(b"Hello", own)
        for place in every:
            if place == own:
                assert cipher.decrypt(stored, place) == b"Hello"
            else:
                with pytest.raises(Unreadable, match="another place"):
                    cipher.decrypt(stored, place)


def test_a_value_whose_key_is_missing_is_unreadable() -> None:
    stored = Cipher.of(OLD).encrypt(b"Hello", PLACE)
    with pytest.raises(Unreadable, match="no part of SECRET_KEY"):
        Cipher.of(NEW).decrypt(stored, PLACE)


@pytest.mark.parametrize("kept", [len(MAGIC), 8, 12, 20, 35, 40])
def test_a_truncated_value_is_unreadable(kept: int) -> None:
    stored = Cipher.of(OLD).encrypt(b"Hello, you", PLACE)
    with pytest.raises(Unreadable):
        Cipher.of(OLD).decrypt(stored[:kept], PLACE)


@pytest.mark.parametrize("position", [4, 8, 20, -1])
def test_a_changed_value_is_unreadable(position: int) -> None:
    stored = bytearray(Cipher.of(OLD).encrypt(b"Hello, you", PLACE))
    stored[position] ^= 1
    with pytest.raises(Unreadable):
        Cipher.of(OLD).decrypt(bytes(stored), PLACE)


@pytest.mark.parametrize("stored", ["AGhnM", "AGhnM!!!", "AGhnMé", "QUJD"])
def test_a_text_that_is_no_encrypted_value_is_unreadable_or_plain(stored: str) -> None:
    try:
        assert Cipher.of(OLD).decrypt_text(stored, PLACE) == "ABC"
    except Unreadable:
        assert stored.startswith("AGhnM")


def test_keys_are_rotated_by_appending_and_then_moving_to_the_front() -> None:
    before, appended, turned = Cipher.of(OLD), Cipher.of(f"{OLD},{NEW}"), Cipher.of(f"{NEW},{OLD}")
    stored = before.encrypt(b"Hello", PLACE)
    assert appended.decrypt(stored, PLACE) == turned.decrypt(stored, PLACE) == b"Hello"
    assert before.decrypt(appended.encrypt(b"Hello", PLACE), PLACE) == b"Hello"
    assert (appended.key_state(stored), turned.key_state(stored)) == ("first", "old")
    assert Cipher.of(NEW).decrypt(turned.encrypt(b"Hello", PLACE), PLACE) == b"Hello"


def test_how_a_value_is_stored_is_told_by_its_head() -> None:
    on, off = Cipher.of(OLD), Cipher.of(OLD, enabled=False)
    stored = on.encrypt(b"Hello", PLACE)
    assert (on.current, on.key_state(stored), on.key_state(b"Hello")) == ("first", "first", "plain")
    assert (off.current, off.key_state(stored)) == ("plain", "first")
    assert Cipher.of(NEW).key_state(stored) == "unknown"
    assert off.decrypt(stored, PLACE) == b"Hello"


def test_a_cipher_hides_its_keys() -> None:
    assert "AESGCM" not in repr(Cipher.of(OLD))


@pytest.mark.parametrize("secret", ["", "short", f"{OLD},short"])
def test_a_short_secret_key_is_refused(secret: str) -> None:
    with pytest.raises(SecretKeyInvalid, match="SECRET_KEY needs 32"):
        Cipher.of(secret)
