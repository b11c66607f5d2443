"""The device of a session: the settings that Instagram must see unchanged for life."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

_TOP_LEVEL: Final = (
    "user_agent",
    "country",
    "country_code",
    "locale",
    "timezone_offset",
    "timezone_name",
)
_NESTED: Final = ("uuids", "device_settings", "usdid")

# `registered` becomes true at the first login; the Bloks id changes with the client library.
_MAY_CHANGE: Final = frozenset(
    {("usdid", "registered"), ("device_settings", "bloks_versioning_id")}
)


def device_of(settings: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """Extract the device from a session's settings.

    Parameters:
      settings: From the client library's `get_settings()`.

    Returns:
      Traits by path, such as `("uuids", "phone_id")`, without those that have no value.
    """
    return {path: value for path, value in _traits(settings) if value not in (None, "")}


def changed_traits(stored: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """List the traits of the stored device that new settings would change or drop.

    Traits may be added: sessions from older clients lack some.

    Parameters:
      stored: The stored settings.
      new: The settings that would replace them.

    Returns:
      Dotted names such as `uuids.phone_id`; empty if it is the same device.
    """
    device = device_of(new)
    return [
        ".".join(path) for path, value in device_of(stored).items() if device.get(path) != value
    ]


def _traits(settings: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name in _TOP_LEVEL:
        yield (name,), settings.get(name)
    for name in _NESTED:
        for key, value in (settings.get(name) or {}).items():
            if (name, key) not in _MAY_CHANGE:
                yield (name, key), value
