"""The settings of an Instagram session: which of them are stored, and whose login they hold."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

# In the client library, saved values override the constructor. These belong to a process and
# would carry one machine's pace, transport or CA path to another.
_PROCESS_KEYS: Final = frozenset(
    {
        "delay_range",
        "private_transport",
        "proxies",
        "proxy",
        "public_request_retries_count",
        "public_request_retries_timeout",
        "public_transport",
        "public_transport_impersonate",
        "read_timeout",
        "request_timeout",
        "session_retry_backoff_factor",
        "session_retry_statuses",
        "session_retry_total",
        "tls_verify",
        "utls_library_path",
    }
)

# The library writes none of these, but people keep them in the same file.
_CONFIGURATION_KEYS: Final = frozenset(
    {
        "challenge_code_handler",
        "change_password_handler",
        "handle_exception",
        "handlers",
        "password",
        "totp_seed",
        "username",
        "verification_code",
    }
)

_NOT_STORED: Final = _PROCESS_KEYS | _CONFIGURATION_KEYS


def exportable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Copy the settings that belong to the account.

    Parameters:
      settings: From aiograpi's or instagrapi's `get_settings()`, whose values are live references.

    Returns:
      A deep copy without the settings of a process (timeouts, transports, proxies, paths) or of
      the configuration (username, password, handlers).
    """
    return {key: copy.deepcopy(value) for key, value in settings.items() if key not in _NOT_STORED}


def unchanged(settings: Mapping[str, Any], saved: Mapping[str, Any]) -> bool:
    """Whether the exportable settings are still the saved ones; makes no deep copy.

    Parameters:
      settings: As for `exportable`.
      saved: An earlier result of `exportable`.
    """
    return {key: value for key, value in settings.items() if key not in _NOT_STORED} == saved


def is_logged_in(settings: Mapping[str, Any]) -> bool:
    """Whether settings hold a login: an authorization, or the cookie of an older client."""
    cookies = settings.get("cookies") or {}
    return bool(settings.get("authorization_data") or cookies.get("sessionid"))


def user_pks(settings: Mapping[str, Any]) -> set[str]:
    """Whose login it is, read where the client library reads it.

    Parameters:
      settings: The client library's settings.

    Returns:
      The pks named by the authorization and by the cookies: none if neither names one, two if
      they contradict each other.
    """
    places = (settings.get("authorization_data") or {}, settings.get("cookies") or {})
    return {str(place["ds_user_id"]) for place in places if place.get("ds_user_id")}
