"""The line of each key in a TOML document, which `tomllib` does not report.

The scanner expects a document that `tomllib` has accepted, so it validates nothing. It knows
tables, arrays of tables, dotted and quoted keys, inline tables and arrays.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from typing import Final

Path = tuple[str | int, ...]

_BLANK: Final = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_STRING: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|'
    r"'''.*?'{3,5}|"
    r'"(?:\\.|[^"\\])*"|'
    r"'[^']*'",
    re.DOTALL,
)
_SCALAR: Final = re.compile(r"[^,\]}#\n]+")


class KeyLines:
    """The line of every key and list entry.

    Parameters:
      text: A valid TOML document.
    """

    def __init__(self, text: str) -> None:
        self._lines: Mapping[Path, int] = _Scanner(text).scan()

    def find(self, path: Path) -> int | None:
        """The line of a path, or of its nearest parent that is in the document.

        Parameters:
          path: Keys and list positions, from the top.

        Returns:
          The line, counted from 1; None if not even the first key is in the document.
        """
        for length in range(len(path), 0, -1):
            if path[:length] in self._lines:
                return self._lines[path[:length]]
        return None


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}

    def scan(self) -> Mapping[Path, int]:
        table: Path = ()
        while self._skip_blank():
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _header(self) -> Path:
        is_array = self._text.startswith("[[", self._at)
        line = self._line()
        self._at += 2 if is_array else 1
        keys = self._keys()
        self._at += 2 if is_array else 1
        path = self._resolved(keys, line)
        if is_array:
            position = self._counts.get(path, 0)
            self._counts[path] = position + 1
            path = (*path, position)
            self._lines[path] = line
        return path

    def _resolved(self, keys: list[str], line: int) -> Path:
        # In a header, the name of an array of tables stands for its latest table.
        path: Path = ()
        for key in keys:
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
            path = (*path, key)
            self._lines.setdefault(path, line)
        return path

    def _pair(self, table: Path) -> None:
        line = self._line()
        path = table
        for key in self._keys():
            path = (*path, key)
            self._lines.setdefault(path, line)
        self._at += 1  # the equals sign
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip_blank()
        opening = self._text[self._at]
        if opening == "[":
            self._list(path)
        elif opening == "{":
            self._inline_table(path)
        else:
            match = _STRING.match(self._text, self._at) or _SCALAR.match(self._text, self._at)
            self._at = match.end() if match else self._at + 1

    def _list(self, path: Path) -> None:
        position = 0
        while not self._closes("]"):
            self._lines[*path, position] = self._line()
            self._value((*path, position))
            position += 1

    def _inline_table(self, path: Path) -> None:
        while not self._closes("}"):
            self._pair(path)

    def _closes(self, bracket: str) -> bool:
        # Called on the opening bracket, on a comma, or right after a value.
        self._skip_blank()
        if self._text[self._at] in "[{,":
            self._at += 1
            self._skip_blank()
        closes = self._text.startswith(bracket, self._at)
        self._at += closes
        return closes

    def _keys(self) -> list[str]:
        keys = [self._key()]
        while self._text.startswith(".", self._at):
            self._at += 1
            keys.append(self._key())
        return keys

    def _key(self) -> str:
        self._skip_blank()
        match = _BARE_KEY.match(self._text, self._at) or _STRING.match(self._text, self._at)
        raw = match.group() if match else ""
        self._at += len(raw)
        self._skip_blank()
        return str(tomllib.loads(f"key = {raw}")["key"]) if raw[:1] in {"'", '"'} else raw

    def _skip_blank(self) -> bool:
        match = _BLANK.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._at < len(self._text)

    def _line(self) -> int:
        return bisect_right(self._line_starts, self._at)
