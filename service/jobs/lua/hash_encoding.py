"""How a job's hash is laid out, so that a million of them fit: what is blank is not stored, and
what is long is stored in pieces.

Redis packs a hash into one block of memory only while no value of it is longer than 64 bytes
(`hash-max-listpack-value`); one that is longer makes it take three times as much. `scripts.py`
renders this into the Lua scripts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_ZERO: Final = (
    *("attempts", "expires", "started", "finished", "lease", "renewed", "fence", "wait_until"),
    *("intent_at", "misses", "looks", "strikes", "echoes"),
)
_EMPTY: Final = (
    *("to", "post", "callback", "metadata", "result", "error", "owner", "cancel", "wait_reason"),
    *("pk", "context", "lane", "thread", "writing", "charged", "dry", "text_hash"),
)

#: What a field holds where the hash has none.
BLANK: Final[Mapping[str, str]] = {
    **dict.fromkeys(_ZERO, "0"),
    **dict.fromkeys(_EMPTY, ""),
}

#: Fields whose value may be in pieces: `result`, `result:2`, `result:3` ...
FOLDED: Final = ("source", "metadata", "result", "error", "photo")
#: As long as every piece is but the last, in bytes.
PIECE: Final = 64
#: A value of more than this many pieces is kept whole.
MOST_PIECES: Final = 8


def fields_of(raw: Mapping[bytes, bytes]) -> dict[str, str]:
    """A job's fields as they were written, the blank ones included.

    Parameters:
      raw: The hash.
    """
    whole = {name.decode(): value for name, value in raw.items() if b":" not in name}
    for name in FOLDED:
        if name in whole:
            whole[name] = _unfolded(raw, name)
    return {**BLANK, **{name: value.decode() for name, value in whole.items()}}


def _unfolded(raw: Mapping[bytes, bytes], name: str) -> bytes:
    piece = raw[name.encode()]
    pieces = [piece]
    while len(piece) == PIECE:
        piece = raw.get(f"{name}:{len(pieces) + 1}".encode(), b"")
        pieces.append(piece)
    return b"".join(pieces)
