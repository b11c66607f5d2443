"""The table of mutations: one small change each, and the tests that must notice it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROWS: Final = Path(__file__).parent / "rows"


class InvalidRow(ValueError):
    """A row of the table cannot be used; the message names the row and the remedy."""


@dataclass(frozen=True)
class Mutation:
    """One change to one file.

    Parameters:
      id: Unique in the table: the room's letter and a number.
      room: The name of the table's file.
      file: Path from the repository's root.
      old: Text that the file has exactly once.
      new: What replaces it.
      harm: What the change would do in production.
      tests: Files or node ids for pytest, relative to the root.
      equivalent: Why no test can notice it; '' where one must.
    """

    id: str
    room: str
    file: str
    old: str
    new: str
    harm: str
    tests: tuple[str, ...]
    equivalent: str = ""

    def apply(self, root: Path) -> str:
        """The mutated text of the file.

        Raises:
          InvalidRow: The file is gone, or does not have `old` exactly once.
        """
        path = root / self.file
        text = path.read_text() if path.is_file() else ""
        if text.count(self.old) != 1:
            raise InvalidRow(
                f"{self.id}: {self.file} has `old` {text.count(self.old)} times, not once:"
                " write the row anew for today's code"
            )
        return text.replace(self.old, self.new)


def read_table(folder: Path = ROWS) -> list[Mutation]:
    """Read every row.

    Raises:
      InvalidRow: A row lacks a field, or two have the same id.
    """
    mutations = [
        _row(path.stem, fields)
        for path in sorted(folder.glob("*.toml"))
        for fields in tomllib.loads(path.read_text())["mutation"]
    ]
    ids = [each.id for each in mutations]
    if doubled := sorted({each for each in ids if ids.count(each) > 1}):
        raise InvalidRow(f"{', '.join(doubled)}: more than one row has this id")
    return mutations


def choose(mutations: Iterable[Mutation], names: Sequence[str]) -> list[Mutation]:
    """The rows with these ids or rooms; all rows if there are no names.

    Raises:
      InvalidRow: There is none of a name.
    """
    everything = list(mutations)
    known = {name for each in everything for name in (each.id, each.room)}
    if unknown := sorted(set(names) - known):
        raise InvalidRow(f"{', '.join(unknown)}: no row and no room has this name")
    return [each for each in everything if not names or {each.id, each.room} & set(names)]


def _row(room: str, fields: dict[str, Any]) -> Mutation:
    try:
        return Mutation(**fields | {"room": room, "tests": tuple(fields["tests"])})
    except (TypeError, KeyError) as error:
        raise InvalidRow(f"{fields.get('id', 'a row')} in {room}.toml: {error}") from error
