"""What makes a stored session one device: the part that Instagram must see unchanged for life."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

_PLAIN: Final = (
    "user_agent",
    "country",
    "country_code",
    "locale",
    "timezone_offset",
    "timezone_name",
)
_NESTED: Final = ("uuids", "device_settings", "usdid")

# `registered` turns true at the first login, and the Bloks id follows the client library.
_MOVING: Final = frozenset({("usdid", "registered"), ("device_settings", "bloks_versioning_id")})


def device_of(settings: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """Read the device out of a settings dict.

    Parameters:
      settings: As the client library's `get_settings()` gives it.

    Returns:
      Each known trait by its path, `("uuids", "phone_id")`; traits without a value are left out.
    """
    return {path: value for path, value in _traits(settings) if value not in (None, "")}


def changed_traits(stored: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Name the traits of a stored device that other settings would change or drop.

    Traits that the stored settings lack may be added: sessions from older clients lack some.

    Parameters:
      stored: The settings in the vault.
      new: The settings that would replace them.

    Returns:
      Dotted names, `uuids.phone_id`; empty when it is the same device.
    """
    after = device_of(new)
    return [".".join(path) for path, value in device_of(stored).items() if after.get(path) != value]


def _traits(settings: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name in _PLAIN:
        yield (name,), settings.get(name)
    for name in _NESTED:
        for key, value in (settings.get(name) or {}).items():
            if (name, key) not in _MOVING:
                yield (name, key), value
