"""Which part of the client's settings travels between processes."""

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


def portable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Copy the part of a settings dict that is the account's own.

    Parameters:
      settings: From aiograpi's or instagrapi's `get_settings()`, whose values are live references.

    Returns:
      A deep copy without what belongs to a process: timeouts, transports, proxies, paths.
    """
    return {
        key: copy.deepcopy(value) for key, value in settings.items() if key not in _OF_THE_PROCESS
    }


def is_logged_in(settings: Mapping[str, Any]) -> bool:
    """Tell whether settings hold a login: an authorization, or the cookie of an older client."""
    cookies = settings.get("cookies") or {}
    return bool(settings.get("authorization_data") or cookies.get("sessionid"))
