"""Python values as Lua text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

LuaValue = bool | int | float | str | Mapping[str, "LuaValue"] | Sequence["LuaValue"]

_ESCAPES: Final = str.maketrans({"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\0": "\\0"})
_NAME: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
#: https://www.lua.org/manual/5.1/manual.html#2.1
_KEYWORDS: Final = frozenset(
    [
        "and",
        "break",
        "do",
        "else",
        "elseif",
        "end",
        "false",
        "for",
        "function",
        "if",
        "in",
        "local",
        "nil",
        "not",
        "or",
        "repeat",
        "return",
        "then",
        "true",
        "until",
        "while",
    ]
)


def to_lua(value: LuaValue) -> str:
    """Write a value as a Lua expression; mappings and sequences become tables.

    Parameters:
      value: Any text may be a key of a mapping.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"'{value.translate(_ESCAPES)}'"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_key(key)} = {to_lua(each)}' for key, each in value.items())}}}"
    if isinstance(value, Sequence):
        return f"{{{', '.join(map(to_lua, value))}}}"
    return str(value)


def _key(key: str) -> str:
    is_plain = _NAME.fullmatch(key) and key not in _KEYWORDS
    return key if is_plain else f"[{to_lua(key)}]"
