"""Imported sessions: which documents are accepted, and which stored sessions they replace."""

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
        async with open_session_store(server) as (sessions, _):
            await steps(sessions)

    asyncio.run(opened())


# -- documents


def test_settings_of_a_process_or_the_configuration_are_dropped() -> None:
    extra = {"password": "p", "username": "shop", "handlers": {}, "challenge_code_handler": "h"}
    checked = check_document(document(**extra, proxy="http://p", read_timeout=3), "shop")
    assert not {*extra, "proxy", "read_timeout", "request_timeout", "tls_verify"} & set(checked)
    assert exportable(checked) == checked


def test_null_values_are_dropped_so_that_the_library_uses_its_defaults() -> None:
    assert "locale" not in check_document(document(locale=None), "shop")


def test_keys_of_a_newer_library_are_kept() -> None:
    assert check_document(document(fbns_auth={"k": [1]}), "shop")["fbns_auth"] == {"k": [1]}


def test_an_instagrapi_file_without_the_newer_keys_is_accepted() -> None:
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
def test_an_error_names_the_field_and_not_its_value(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSession) as raised:
        check_document(document(**changes), "shop")
    assert raised.value.field == field
    assert str(raised.value).startswith(field)
    assert leaks(str(raised.value)) == []


def nested(levels: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(levels):
        inner = {"x": [inner]}
    return inner


@pytest.mark.parametrize(
    "value",
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
def test_a_document_that_is_not_a_plain_json_object_is_rejected(value: object) -> None:
    with pytest.raises(InvalidSession) as raised:
        check_document(value, "shop")
    assert raised.value.field == ""
    assert CANARY not in str(raised.value)
    assert raised.value.__context__ is None


@pytest.mark.parametrize("name", ["shop", "Shop", "@shop ", "shop@example.com", "+15550100", ""])
def test_a_username_that_matches_or_cannot_be_compared_is_accepted(name: str) -> None:
    assert "username" not in check_document(document(username=name), "sHop")


def test_a_file_may_start_with_a_byte_order_mark() -> None:
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
def test_invalid_or_oversized_json_is_rejected(raw: bytes) -> None:
    with pytest.raises(InvalidSession) as raised:
        parse_document(raw)
    assert raised.value.field == ""
    assert str(raised.value).startswith("the document: must be")


def test_a_logins_user_is_named_by_the_authorization_and_the_cookies() -> None:
    assert user_pks({}) == set()
    assert user_pks({"authorization_data": {"ds_user_id": 42}, "cookies": None}) == {"42"}
    assert user_pks({"cookies": {"ds_user_id": "42"}}) == {"42"}
    both = {"authorization_data": {"ds_user_id": 42}, "cookies": {"ds_user_id": "7"}}
    assert user_pks(both) == {"7", "42"}


# -- importing a session


def test_the_first_session_of_an_account_is_stored(server: str) -> None:
    async def steps(sessions: SessionStore) -> None:
        assert await import_session(sessions, "a", "shop", document()) == Imported(1, False)
        stored = await sessions.load("a", "shop")
        assert stored == StoredSession(check_document(document(), "shop"), 1)

    run(server, steps)


def test_a_newer_login_of_the_same_device_replaces_the_stored_session(server: str) -> None:
    async def steps(sessions: SessionStore) -> None:
        await import_session(sessions, "a", "shop", document())
        newer = document(last_login=1796000000, mid="another")
        assert await import_session(sessions, "a", "shop", newer) == Imported(2, False)
        stored = await sessions.load("a", "shop")
        assert stored is not None
        assert (stored.version, stored.settings["mid"]) == (2, "another")

    run(server, steps)


def test_an_unnecessary_reset_is_not_reported_as_one(server: str) -> None:
    async def steps(sessions: SessionStore) -> None:
        for version in (1, 2):
            imported = await import_session(sessions, "a", "shop", document(), reset_device=True)
            assert imported == Imported(version, False)

    run(server, steps)


def test_another_device_is_rejected_unless_a_reset_is_requested(server: str) -> None:
    async def steps(sessions: SessionStore) -> None:
        await import_session(sessions, "a", "shop", document())
        other = of_device("new", locale="de_DE")

        # When no reset is requested
        with pytest.raises(OtherDevice) as raised:
            await import_session(sessions, "a", "shop", other)
        assert sorted(raised.value.traits) == ["locale", "uuids.phone_id"]
        assert "locale" in str(raised.value)
        assert CANARY not in str(raised.value)
        assert await sessions.version("a") == 1

        # When a reset is requested
        imported = await import_session(sessions, "a", "shop", other, reset_device=True)
        assert imported == Imported(2, True)

    run(server, steps)


def test_an_older_file_without_the_devices_keys_is_another_device(server: str) -> None:
    async def steps(sessions: SessionStore) -> None:
        await import_session(sessions, "a", "shop", document())
        with pytest.raises(OtherDevice, match=r"usdid\.private_key"):
            await import_session(sessions, "a", "shop", document(usdid=None))

    run(server, steps)


def test_another_users_session_is_rejected_even_from_the_same_device(server: str) -> None:
    async def steps(sessions: SessionStore) -> None:
        await import_session(sessions, "a", "shop", document())
        for wrong in (of_user("77"), of_user("77") | of_device("new") | of_user("77")):
            with pytest.raises(OtherUser):
                await import_session(sessions, "a", "shop", wrong)
        assert await sessions.version("a") == 1
        imported = await import_session(sessions, "a", "shop", of_user("77"), reset_device=True)
        assert imported == Imported(2, False)

    run(server, steps)


def test_a_stored_device_that_never_logged_in_accepts_any_user(server: str) -> None:
    async def steps(sessions: SessionStore) -> None:
        await sessions.save("a", "shop", document(authorization_data={}, cookies={}), version=0)
        assert (await import_session(sessions, "a", "shop", document())).version == 2

    run(server, steps)


@pytest.mark.parametrize(("secret", "username"), [(OTHER_SECRET, "shop"), (None, "other.shop")])
def test_an_unreadable_session_is_replaced_only_if_a_reset_is_requested(
    server: str, secret: str | None, username: str
) -> None:
    async def steps(sessions: SessionStore) -> None:
        async with open_session_store(server, *([secret] if secret else [])) as (other_sessions, _):
            await import_session(other_sessions, "a", username, document())
        with pytest.raises(SessionUnreadable):
            await import_session(sessions, "a", "shop", document())
        assert await sessions.version("a") == 1
        imported = await import_session(sessions, "a", "shop", document(), reset_device=True)
        assert imported == Imported(2, True)
        assert await sessions.load("a", "shop") is not None

    run(server, steps)


class RacedStore(SessionStore):
    """A store in which a worker saves a session after every load."""

    async def load(self, account: str, username: str) -> StoredSession | None:
        loaded = await super().load(account, username)
        version = loaded.version if loaded else 0
        await super().save(
            account, username, of_device("worker"), version=version, reset_device=True
        )
        return loaded


@pytest.mark.parametrize("reset_device", [False, True])
def test_a_session_saved_by_a_worker_meanwhile_is_not_overwritten(
    server: str, reset_device: bool
) -> None:
    async def steps(sessions: SessionStore) -> None:
        raced_store = RacedStore(sessions._redis, sessions._cipher)
        with pytest.raises((SessionConflict, DeviceChanged)) as raised:
            await import_session(raced_store, "a", "shop", document(), reset_device=reset_device)
        assert not isinstance(raised.value, OtherDevice)
        stored = await sessions.load("a", "shop")
        assert stored is not None
        assert stored.settings["uuids"]["phone_id"] == f"{CANARY}-worker"

    run(server, steps)
