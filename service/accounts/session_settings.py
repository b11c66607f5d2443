"""What an Instagram session holds: the part that travels, whether it is a login, and whose."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

# The library lets saved values override the constructor: these belong to a process, and would
# carry one machine's pace, transport or CA path to another.
_OF_THE_PROCESS: Final = frozenset(
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
_OF_THE_CONFIGURATION: Final = frozenset(
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

_STAYS: Final = _OF_THE_PROCESS | _OF_THE_CONFIGURATION


def exportable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Copy the part of a settings dict that is the account's own.

    Parameters:
      settings: From aiograpi's or instagrapi's `get_settings()`, whose values are live references.

    Returns:
      A deep copy without what belongs to a process (timeouts, transports, proxies, paths) or to
      the configuration (username, password, handlers).
    """
    return {key: copy.deepcopy(value) for key, value in settings.items() if key not in _STAYS}


def unchanged(settings: Mapping[str, Any], kept: Mapping[str, Any]) -> bool:
    """Tell, without a copy, whether the portable part of settings is what was kept before.

    Parameters:
      settings: As `portable`.
      kept: What `portable` gave.
    """
    return {key: value for key, value in settings.items() if key not in _STAYS} == kept


def is_logged_in(settings: Mapping[str, Any]) -> bool:
    """Tell whether settings hold a login: an authorization, or the cookie of an older client."""
    cookies = settings.get("cookies") or {}
    return bool(settings.get("authorization_data") or cookies.get("sessionid"))


def user_pks(settings: Mapping[str, Any]) -> set[str]:
    """Tell whose login it is, as the client library finds out.

    Parameters:
      settings: Of the client library.

    Returns:
      The pk that the authorization names and the one that the cookies name: empty without
      either, two where they contradict each other.
    """
    places = (settings.get("authorization_data") or {}, settings.get("cookies") or {})
    return {str(place["ds_user_id"]) for place in places if place.get("ds_user_id")}
