"""Checks session files, as written by `dump_settings()` of aiograpi or instagrapi, before use."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from service.accounts.session_settings import exportable, is_logged_in, user_pks
from service.json_values.plain_json import is_deeper, json_size

MAX_DOCUMENT_BYTES: Final = 1024 * 1024
#: Real ones have three levels; copying one level takes several of Python's stack frames.
MAX_DEPTH: Final = 16

#: The others are derived from these; without them the library would generate another device.
_REQUIRED_UUIDS: Final = ("phone_id", "uuid")
_DUMP_AGAIN: Final = "log in with aiograpi or instagrapi and use what dump_settings() writes"


class InvalidSession(ValueError):
    """A document is not a usable session.

    Parameters:
      field: Dotted key of the wrong field, empty for the whole document; only known keys are
        named, never one that the sender made up.
      problem: What is wrong and what to do about it; contains no value.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field or 'the document'}: {problem}")
        self.field = field
        self.problem = problem


def parse_document(raw: bytes) -> object:
    """Parse the content of a session file.

    Parameters:
      raw: At most MAX_DOCUMENT_BYTES of JSON.

    Raises:
      InvalidSession: It is too large, or not JSON.
    """
    if len(raw) > MAX_DOCUMENT_BYTES:
        raise InvalidSession("", f"must be at most {MAX_DOCUMENT_BYTES} bytes")
    try:
        document: object = json.loads(raw)
    except (ValueError, RecursionError):
        raise InvalidSession("", f"must be a JSON object: {_DUMP_AGAIN}") from None
    return document


def check_document(document: object, username: str) -> dict[str, Any]:
    """Check that a document is a usable session of an account.

    Parameters:
      document: Parsed from JSON.
      username: The account's username; compared if the document names one.

    Returns:
      A copy of its `exportable` settings, without null values.

    Raises:
      InvalidSession: It holds something else, or lacks the login or the device.
    """
    if not isinstance(document, dict):
        raise InvalidSession("", f"must be a JSON object: {_DUMP_AGAIN}")
    _check_plain(document)
    _check_username(document.get("username"), username)
    # The library has defaults for absent settings, not for null ones.
    settings = {key: value for key, value in exportable(document).items() if value is not None}
    _check_types(settings)
    _check_device(settings)
    _check_signing_key(settings.get("usdid", {}).get("private_key"))
    _check_login(settings)
    return settings


def _check_plain(document: Mapping[str, Any]) -> None:
    if is_deeper(document, MAX_DEPTH):
        raise InvalidSession("", f"must be nested at most {MAX_DEPTH} levels deep")
    if json_size(document) is None:
        raise InvalidSession("", "must be plain JSON: no NaN, no lone surrogates")


def _check_username(given: object, username: str) -> None:
    # People may log in with an e-mail address or a phone number; neither can be compared.
    name = given.strip().removeprefix("@").casefold() if isinstance(given, str) else ""
    if name and "@" not in name and not name.startswith("+") and name != username.casefold():
        raise InvalidSession(
            "username",
            "belongs to another account: import it there, or remove the key if it is wrong",
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_line(value: object) -> bool:
    # These values become HTTP headers: a line break would start another header.
    return isinstance(value, str) and value.isascii() and value.isprintable()


def _is_id(value: object) -> bool:
    return isinstance(value, str) and _is_line(value) and bool(value.strip())


def _is_line_or_number(value: object) -> bool:
    return _is_line(value) or _is_number(value)


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


def _is_authorization(value: object) -> bool:
    return _is_line(value) or isinstance(value, int | float)


_Check = Callable[[object], bool]

_LINES: Final = (
    "country",
    "ig_u_rur",
    "ig_www_claim",
    "locale",
    "mid",
    "public_graphql_user_agent",
    "public_user_agent",
    "timezone_name",
    "user_agent",
)
_TOP_LEVEL: Final[Mapping[str, tuple[_Check, str]]] = {
    **dict.fromkeys(_LINES, (_is_line, "must be one line of ASCII text")),
    **dict.fromkeys(
        ("country_code", "last_login", "timezone_offset"), (_is_number, "must be a number")
    ),
}
_NESTED: Final[Mapping[str, tuple[_Check, str]]] = {
    "authorization_data": (_is_authorization, "an object of ASCII strings, numbers and booleans"),
    "cookies": (_is_line, "an object of ASCII strings"),
    "device_settings": (_is_line_or_number, "an object of ASCII strings and numbers"),
    "usdid": (_is_scalar, "an object of strings and booleans"),
    "uuids": (_is_id, "an object of ASCII strings that are not empty"),
}


def _check_types(settings: Mapping[str, Any]) -> None:
    for name, (is_valid, problem) in _TOP_LEVEL.items():
        if name in settings and not is_valid(settings[name]):
            raise InvalidSession(name, problem)
    for name, (is_valid, expected) in _NESTED.items():
        value = settings.get(name, {})
        if not (isinstance(value, dict) and _all_valid(value, is_valid)):
            raise InvalidSession(name, f"must be {expected}")


def _all_valid(values: Mapping[str, object], is_valid: _Check) -> bool:
    return all(_is_line(key) and is_valid(value) for key, value in values.items())


def _check_device(settings: Mapping[str, Any]) -> None:
    missing = [name for name in _REQUIRED_UUIDS if name not in settings.get("uuids", {})]
    if missing:
        field = f"uuids.{missing[0]}"
    elif not settings.get("device_settings"):
        field = "device_settings"
    else:
        return
    raise InvalidSession(
        field, f"is missing: Instagram would see the login move to another device; {_DUMP_AGAIN}"
    )


def _check_signing_key(key: object) -> None:
    # It signs the headers of every request: a client with an unusable key could not be opened.
    if key and not (isinstance(key, str) and _is_signing_key(key)):
        raise InvalidSession("usdid.private_key", f"must be an EC key in PEM; {_DUMP_AGAIN}")


def _is_signing_key(key: str) -> bool:
    try:
        return isinstance(load_pem_private_key(key.encode(), None), EllipticCurvePrivateKey)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False


def _check_login(settings: Mapping[str, Any]) -> None:
    if not is_logged_in(settings):
        raise InvalidSession("authorization_data", f"holds no login; {_DUMP_AGAIN}")
    authorization = settings.get("authorization_data") or settings["cookies"]
    if not _is_id(authorization.get("sessionid")):
        raise InvalidSession("authorization_data.sessionid", f"is missing; {_DUMP_AGAIN}")
    pks = user_pks(settings)
    if len(pks) > 1:
        raise InvalidSession(
            "authorization_data.ds_user_id",
            f"names another user than the cookies; {_DUMP_AGAIN}",
        )
    if not all(pk.isascii() and pk.isdigit() for pk in pks) or not pks:
        raise InvalidSession(
            "authorization_data.ds_user_id",
            f"must be the numeric id of the user; {_DUMP_AGAIN}",
        )
