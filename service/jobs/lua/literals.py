"""Python values as Lua text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

LuaValue = None | bool | int | float | str | Mapping[str, "LuaValue"] | Sequence["LuaValue"]

_ESCAPES: Final = str.maketrans({"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\0": "\\0"})


def to_lua(value: LuaValue) -> str:
    """Write a value as a Lua expression; mappings and sequences become tables.

    None becomes nil: a field of a table with that value does not exist.
    """
    if value is None:
        return "nil"
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
