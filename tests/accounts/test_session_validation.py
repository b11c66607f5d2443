"""Session documents: which are accepted, and which settings are stored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from service.accounts.session_settings import exportable, user_pks
from service.accounts.session_validation import (
    MAX_DEPTH,
    MAX_DOCUMENT_BYTES,
    InvalidSession,
    check_document,
    parse_document,
)
from tests.support.sessions import CANARY, PK, document, leaks


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
