"""Session documents as the client libraries write them, full of secrets."""

from __future__ import annotations

from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

#: A part of every secret in `document()`.
CANARY: Final = "c4n4ry"
PK: Final = "42"

_KEY: Final = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)


def leaks(*texts: str) -> list[str]:
    """The secrets of a `document()` that are in the texts."""
    secrets = (CANARY, *_KEY.splitlines()[1:-1])
    return [secret for secret in secrets if secret in "".join(texts)]


def document(**changes: Any) -> dict[str, Any]:
    """A document as aiograpi's `dump_settings` writes it after a login.

    Parameters:
      changes: Keys to replace.
    """
    session_id = f"{PK}%3A{CANARY}-session%3A7"
    settings: dict[str, Any] = {
        "uuids": {
            "phone_id": f"{CANARY}-phone",
            "uuid": f"{CANARY}-uuid",
            "client_session_id": f"{CANARY}-client",
            "advertising_id": f"{CANARY}-advertising",
            "android_device_id": f"android-{CANARY}",
            "request_id": f"{CANARY}-request",
            "tray_session_id": f"{CANARY}-tray",
        },
        "mid": f"{CANARY}-mid",
        "ig_u_rur": None,
        "ig_www_claim": f"hmac.{CANARY}",
        "authorization_data": {
            "ds_user_id": PK,
            "sessionid": session_id,
            "should_use_header_over_cookies": True,
        },
        "cookies": {"ds_user_id": PK, "sessionid": session_id, "csrftoken": f"{CANARY}-csrf"},
        "last_login": 1795000000.5,
        "device_settings": {"model": "Pixel 8 Pro", "android_version": 34, "dpi": "480dpi"},
        "user_agent": "Instagram 449.0.0 Android (34/14; Pixel 8 Pro)",
        "country": "US",
        "country_code": 1,
        "locale": "en_US",
        "timezone_offset": -14400,
        "timezone_name": "America/New_York",
        "request_timeout": 9,
        "tls_verify": f"/{CANARY}/ca.pem",
        "usdid": {"usdid": "x-1", "kid": CANARY, "private_key": _KEY, "registered": True},
    }
    return settings | changes


def of_device(name: str, **changes: Any) -> dict[str, Any]:
    """A document from another device.

    Parameters:
      name: The device's name.
      changes: As `document`.
    """
    return document(uuids=document()["uuids"] | {"phone_id": f"{CANARY}-{name}"}, **changes)


def of_user(pk: str, **changes: Any) -> dict[str, Any]:
    """A document of another user.

    Parameters:
      pk: The user's pk.
      changes: As `document`.
    """
    login = {"ds_user_id": pk, "sessionid": f"{pk}%3A{CANARY}"}
    return document(authorization_data=login, cookies=login, **changes)
