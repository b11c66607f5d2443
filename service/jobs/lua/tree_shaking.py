"""What a script needs of the library, and nothing else.

In every run Redis makes each function of a script's text anew: the whole library took 33 us of it,
more than the commands of most steps (hot, Valkey 8).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: A name, but for that of a field: `job.status` has one, `'hg:job:'..id` two.
_NAME = re.compile(r"(?<![^.]\.)\b[A-Za-z_]\w*")
_DEFINED = re.compile(r"local (?:function )?(\w+(?:, \w+)*)")
_BEGINS = re.compile(r"^(?=local )", re.MULTILINE)
_COMMENT = re.compile(r"^\s*--.*\n?", re.MULTILINE)


@dataclass(frozen=True)
class Part:
    """One statement of the library: a function, or constants.

    Parameters:
      text: The statement.
      defines: The names that it makes known.
      mentions: The names in it.
    """

    text: str
    defines: frozenset[str]
    mentions: frozenset[str]

    @classmethod
    def of(cls, text: str) -> Part:
        """Read a statement.

        Parameters:
          text: It begins with `local`.
        """
        defined = _DEFINED.match(text)
        if defined is None:
            raise ValueError(f"no local of the library: {text[:60]!r}")
        return cls(text, frozenset(defined[1].split(", ")), names_in(text))


def names_in(text: str) -> frozenset[str]:
    """The names in a piece of Lua; more than it uses, for words of its strings are among them."""
    return frozenset(_NAME.findall(text))


def parts_of(library: str) -> list[Part]:
    """The statements of a library, in order, without comments.

    Parameters:
      library: Lua in which each statement begins with `local` at the beginning of a line.
    """
    text = _COMMENT.sub("", library).strip()
    return [
        Part.of(part.strip()) for part in re.split(r"^(?=local )", text, flags=re.MULTILINE) if part
    ]


def needed(parts: list[Part], body: str) -> list[str]:
    """The statements that a script's body needs, in order.

    Parameters:
      parts: Of the library; each needs none but those before it.
      body: What comes after them.
    """
    wanted, kept = set(names_in(body)), []
    for part in reversed(parts):
        if part.defines & wanted:
            kept.append(part.text)
            wanted |= part.mentions
    return kept[::-1]
