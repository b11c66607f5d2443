"""Keeps a Lua file's own names to itself. Lua allows 200 local variables in one function, and all
files of the library are part of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

#: A declaration at the beginning of a line: its keyword, if it is a function, its names, and what
#: follows; nothing, where a name is declared that gets its value later.
_DECLARATION: Final = re.compile(r"^local (function )?(\w+(?:, \w+)*)(\(| =|$)", re.MULTILINE)
_WORD: Final = re.compile(r"\w+")


def scoped(files: Mapping[str, str], bodies: Iterable[str]) -> dict[str, str]:
    """Wrap each file in a function of its own that exports only the names that others use.

    Parameters:
      files: Texts of files, without comments, by name.
      bodies: Texts that use the files.
    """
    words = {name: set(_WORD.findall(text)) for name, text in files.items()}
    used = {word for body in bodies for word in _WORD.findall(body)}
    return {
        name: _block(text, used.union(*(words[other] for other in files if other != name)))
        for name, text in files.items()
    }


def _block(text: str, used: set[str]) -> str:
    shared: list[str] = []

    def declare(found: re.Match[str]) -> str:
        names = found[2].split(", ")
        if used.isdisjoint(names):
            return found[0]
        shared.extend(names)
        return f"{found[1] or ''}{found[2]}{found[3]}" if found[3] else ""

    block = _DECLARATION.sub(declare, text)
    head = f"local {', '.join(shared)}\n" if shared else ""
    # A function, because its locals do not count among those of the whole; in a `do` they would.
    return f"{head};(function()\n{block}\nend)()"
