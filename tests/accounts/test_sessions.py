"""Sessions that were made elsewhere: what is taken, and in whose place."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from service.accounts.session_import import (
    Imported,
    OtherDevice,
    OtherUser,
    import_session,
)
from service.accounts.session_settings import exportable, user_pks
from service.accounts.session_store import (
    DeviceChanged,
    SessionConflict,
    SessionStore,
    SessionUnreadable,
    StoredSession,
)
from service.accounts.session_validation import (
    MAX_DEPTH,
    MAX_DOCUMENT_BYTES,
    InvalidSession,
    check_document,
    parse_document,
)
from tests.support.session_store import open_session_store
from tests.support.sessions import CANARY, PK, document, leaks, of_device, of_user

OTHER_SECRET = "another secret key of forty characters.."


@pytest.fixture
def server(store: redis.Redis, store_url: str) -> str:
    assert store.dbsize() == 0
    return store_url


def run(server: str, steps: Callable[[SessionStore], Awaitable[None]]) -> None:
    async def opened() -> None:
        async with open_session_store(server) as (vault, _):
            await steps(vault)

    asyncio.run(opened())


# The document


def test_what_belongs_to_a_process_or_to_the_configuration_does_not_travel() -> None:
    extra = {"password": "p", "username": "shop", "handlers": {}, "challenge_code_handler": "h"}
    taken = check_document(document(**extra, proxy="http://p", read_timeout=3), "shop")
    assert not {*extra, "proxy", "read_timeout", "request_timeout", "tls_verify"} & set(taken)
    assert exportable(taken) == taken


def test_a_key_that_is_null_is_left_out_so_that_the_library_has_its_default() -> None:
    assert "locale" not in check_document(document(locale=None), "shop")


def test_what_only_a_newer_library_knows_is_kept() -> None:
    assert check_document(document(fbns_auth={"k": [1]}), "shop")["fbns_auth"] == {"k": [1]}


def test_an_instagrapi_file_without_the_newer_keys_is_taken() -> None:
    older = document(uuids={"phone_id": "p", "uuid": "u"}, authorization_data={})
    for key in ("usdid", "timezone_name", "ig_www_claim"):
        del older[key]
    assert check_document(older, "shop")["uuids"] == {"phone_id": "p", "uuid": "u"}


def test_the_checked_settings_are_a_copy() -> None:
    given = document()
    check_document(given, "shop")["uuids"]["phone_id"] = "changed"
    assert given == document()


def pem(key: Any, encryption: Any) -> str:
    text: str = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()
    return text


RSA_KEY = pem(rsa.generate_private_key(65537, 2048), NoEncryption())
LOCKED_KEY = pem(ec.generate_private_key(ec.SECP256R1()), BestAvailableEncryption(b"password"))
UUIDS = document()["uuids"]
LOGIN = document()["authorization_data"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"uuids": None}, "uuids.phone_id"),
        ({"uuids": {}}, "uuids.phone_id"),
        ({"uuids": {"phone_id": "p"}}, "uuids.uuid"),
        ({"uuids": ["phone_id", "uuid"]}, "uuids"),
        ({"uuids": CANARY}, "uuids"),
        ({"uuids": UUIDS | {"phone_id": 7}}, "uuids"),
        ({"uuids": UUIDS | {"request_id": None}}, "uuids"),
        ({"uuids": UUIDS | {CANARY: " "}}, "uuids"),
        ({"device_settings": None}, "device_settings"),
        ({"device_settings": {}}, "device_settings"),
        ({"device_settings": {"model": ["Pixel"]}}, "device_settings"),
        ({"device_settings": {"dpi": True}}, "device_settings"),
        ({"usdid": "x"}, "usdid"),
        ({"usdid": {"private_key": {}}}, "usdid"),
        ({"usdid": {"private_key": CANARY}}, "usdid.private_key"),
        ({"usdid": {"private_key": 7}}, "usdid.private_key"),
        ({"usdid": {"private_key": RSA_KEY}}, "usdid.private_key"),
        ({"usdid": {"private_key": LOCKED_KEY}}, "usdid.private_key"),
        ({"cookies": f"sessionid={CANARY}"}, "cookies"),
        ({"cookies": {"sessionid": 7}}, "cookies"),
        ({"cookies": {"sessionid": f"{CANARY}\r\nX: y"}}, "cookies"),
        ({"cookies": {f"{CANARY}\r\nX": "y"}}, "cookies"),
        ({"authorization_data": CANARY}, "authorization_data"),
        ({"authorization_data": {"sessionid": {}}}, "authorization_data"),
        ({"authorization_data": {}, "cookies": {}}, "authorization_data"),
        ({"authorization_data": None, "cookies": {"csrftoken": "c"}}, "authorization_data"),
        ({"authorization_data": {"ds_user_id": PK}}, "authorization_data.sessionid"),
        ({"authorization_data": LOGIN | {"ds_user_id": "7"}}, "authorization_data.ds_user_id"),
        ({"authorization_data": LOGIN | {"ds_user_id": "me"}}, "authorization_data.ds_user_id"),
        (
            {"authorization_data": {"sessionid": "s"}, "cookies": {}},
            "authorization_data.ds_user_id",
        ),
        ({"user_agent": 7}, "user_agent"),
        ({"user_agent": f"Instagram\r\nX: {CANARY}"}, "user_agent"),
        ({"user_agent": "Instagramé"}, "user_agent"),
        ({"mid": [CANARY]}, "mid"),
        ({"locale": {}}, "locale"),
        ({"country_code": "1"}, "country_code"),
        ({"timezone_offset": True}, "timezone_offset"),
        ({"last_login": "yesterday"}, "last_login"),
        ({"username": "Other.Shop"}, "username"),
    ],
)
def test_a_wrong_field_is_named_and_its_value_is_not(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSession) as refused:
        check_document(document(**changes), "shop")
    assert refused.value.field == field
    assert str(refused.value).startswith(field)
    assert leaks(str(refused.value)) == []


def nested(levels: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(levels):
        inner = {"x": [inner]}
    return inner


@pytest.mark.parametrize(
    "whole",
    [
        None,
        [],
        "text",
        7,
        [document()],
        document(more=float("nan")),
        document(more=float("inf")),
        document(more=CANARY + "\ud800"),
        document(more=nested(MAX_DEPTH)),
        document(more=nested(20_000)),
    ],
)
def test_what_is_no_plain_json_object_is_refused_as_a_whole(whole: object) -> None:
    with pytest.raises(InvalidSession) as refused:
        check_document(whole, "shop")
    assert refused.value.field == ""
    assert CANARY not in str(refused.value)
    assert refused.value.__context__ is None


@pytest.mark.parametrize("name", ["shop", "Shop", "@shop ", "shop@example.com", "+15550100", ""])
def test_a_username_that_is_the_account_s_or_says_nothing_is_no_matter(name: str) -> None:
    assert "username" not in check_document(document(username=name), "sHop")


def test_a_file_is_read_with_and_without_a_byte_order_mark() -> None:
    raw = json.dumps(document()).encode()
    assert parse_document(raw) == parse_document(b"\xef\xbb\xbf" + raw) == document()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff\xfe\xfd",
        b"{'uuids': 1}",
        b"[" * 200_000,
        b'{"n": ' + b"9" * 5000 + b"}",
        b" " * MAX_DOCUMENT_BYTES + b"{}",
    ],
)
def test_what_is_no_json_or_too_large_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidSession) as refused:
        parse_document(raw)
    assert refused.value.field == ""
    assert str(refused.value).startswith("the document: must be")


def test_a_login_is_whose_the_authorization_and_the_cookies_say() -> None:
    assert user_pks({}) == set()
    assert user_pks({"authorization_data": {"ds_user_id": 42}, "cookies": None}) == {"42"}
    assert user_pks({"cookies": {"ds_user_id": "42"}}) == {"42"}
    both = {"authorization_data": {"ds_user_id": 42}, "cookies": {"ds_user_id": "7"}}
    assert user_pks(both) == {"7", "42"}


# Its place


def test_the_first_session_of_an_account_is_stored(server: str) -> None:
    async def steps(vault: SessionStore) -> None:
        assert await import_session(vault, "a", "shop", document()) == Imported(1, False)
        stored = await vault.load("a", "shop")
        assert stored == StoredSession(check_document(document(), "shop"), 1)

    run(server, steps)


def test_a_newer_login_of_the_same_device_takes_the_place_of_the_stored_one(server: str) -> None:
    async def steps(vault: SessionStore) -> None:
        await import_session(vault, "a", "shop", document())
        newer = document(last_login=1796000000, mid="another")
        assert await import_session(vault, "a", "shop", newer) == Imported(2, False)
        assert [each.version for each in await vault.earlier("a", "shop")] == [1]

    run(server, steps)


def test_a_reset_that_was_not_needed_is_none(server: str) -> None:
    async def steps(vault: SessionStore) -> None:
        for version in (1, 2):
            done = await import_session(vault, "a", "shop", document(), reset_device=True)
            assert done == Imported(version, False)

    run(server, steps)


def test_another_device_is_refused_by_its_traits_and_taken_when_asked_to(server: str) -> None:
    async def steps(vault: SessionStore) -> None:
        await import_session(vault, "a", "shop", document())
        other = of_device("new", locale="de_DE")

        # When it is not asked for, nothing changes
        with pytest.raises(OtherDevice) as refused:
            await import_session(vault, "a", "shop", other)
        assert sorted(refused.value.traits) == ["locale", "uuids.phone_id"]
        assert "locale" in str(refused.value)
        assert CANARY not in str(refused.value)
        assert await vault.version("a") == 1

        # When it is
        done = await import_session(vault, "a", "shop", other, reset_device=True)
        assert done == Imported(2, True)

    run(server, steps)


def test_an_older_file_that_would_drop_the_device_s_keys_is_another_device(server: str) -> None:
    async def steps(vault: SessionStore) -> None:
        await import_session(vault, "a", "shop", document())
        with pytest.raises(OtherDevice, match=r"usdid\.private_key"):
            await import_session(vault, "a", "shop", document(usdid=None))

    run(server, steps)


def test_another_user_s_session_is_refused_even_from_the_same_device(server: str) -> None:
    async def steps(vault: SessionStore) -> None:
        await import_session(vault, "a", "shop", document())
        for wrong in (of_user("77"), of_user("77") | of_device("new") | of_user("77")):
            with pytest.raises(OtherUser):
                await import_session(vault, "a", "shop", wrong)
        assert await vault.version("a") == 1
        done = await import_session(vault, "a", "shop", of_user("77"), reset_device=True)
        assert done == Imported(2, False)

    run(server, steps)


def test_a_stored_device_that_never_logged_in_says_nothing_about_the_user(server: str) -> None:
    async def steps(vault: SessionStore) -> None:
        await vault.save("a", "shop", document(authorization_data={}, cookies={}), version=0)
        assert (await import_session(vault, "a", "shop", document())).version == 2

    run(server, steps)


@pytest.mark.parametrize(("secret", "username"), [(OTHER_SECRET, "shop"), (None, "other.shop")])
def test_a_session_that_cannot_be_read_is_replaced_only_when_asked_to(
    server: str, secret: str | None, username: str
) -> None:
    async def steps(vault: SessionStore) -> None:
        async with open_session_store(server, *([secret] if secret else [])) as (others, _):
            await import_session(others, "a", username, document())
        with pytest.raises(SessionUnreadable):
            await import_session(vault, "a", "shop", document())
        assert await vault.version("a") == 1
        done = await import_session(vault, "a", "shop", document(), reset_device=True)
        assert done == Imported(2, True)
        assert await vault.load("a", "shop") is not None

    run(server, steps)


class Overtaken(SessionStore):
    """A vault in which a worker saves a session whenever one was just loaded."""

    async def load(self, account: str, username: str) -> StoredSession | None:
        loaded = await super().load(account, username)
        version = loaded.version if loaded else 0
        await super().save(
            account, username, of_device("worker"), version=version, reset_device=True
        )
        return loaded


@pytest.mark.parametrize("reset_device", [False, True])
def test_what_a_worker_saves_in_between_is_not_overwritten(server: str, reset_device: bool) -> None:
    async def steps(vault: SessionStore) -> None:
        overtaken = Overtaken(vault._redis, vault._cipher)
        with pytest.raises((SessionConflict, DeviceChanged)) as refused:
            await import_session(overtaken, "a", "shop", document(), reset_device=reset_device)
        assert not isinstance(refused.value, OtherDevice)
        stored = await vault.load("a", "shop")
        assert stored is not None
        assert stored.settings["uuids"]["phone_id"] == f"{CANARY}-worker"

    run(server, steps)
