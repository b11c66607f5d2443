"""Python values as Lua text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

LuaValue = bool | int | float | str | Mapping[str, "LuaValue"] | Sequence["LuaValue"]

_ESCAPES: Final = str.maketrans({"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\0": "\\0"})


def to_lua(value: LuaValue) -> str:
    """Write a value as a Lua expression: mappings and sequences become tables.

    Parameters:
      value: Keys of mappings are written in quotes, so any text may be one.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"'{value.translate(_ESCAPES)}'"
    if isinstance(value, Mapping):
        return (
            f"{{{', '.join(f'[{to_lua(key)}] = {to_lua(each)}' for key, each in value.items())}}}"
        )
    if isinstance(value, Sequence):
        return f"{{{', '.join(map(to_lua, value))}}}"
    return str(value)
