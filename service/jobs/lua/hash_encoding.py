"""How a job's hash is stored, so that a million of them fit: blank values are not stored, and long
ones are stored in pieces.

Redis packs a hash into one block of memory only while none of its values is longer than 64 bytes
(`hash-max-listpack-value`); a single longer value makes the hash take three times as much.
builder.py renders these constants into the scripts; lib/records.lua describes every field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_ZERO: Final = (
    *("attempts", "expires", "started", "finished", "lease", "renewed", "fence", "wait_until"),
    *("intent_at", "misses", "looks", "strikes", "echoes"),
    *("refusals", "resends"),
)
_EMPTY: Final = (
    *("to", "post", "callback", "metadata", "result", "error", "owner", "cancel", "wait_reason"),
    *("pk", "context", "lane", "thread", "writing", "charged", "dry", "text_hash"),
    *("who", "once"),
    *("checked", "doubt"),
    *("looked", "looked_in"),
)

#: The value of a field that the hash does not have.
BLANK: Final[Mapping[str, str]] = {
    **dict.fromkeys(_ZERO, "0"),
    **dict.fromkeys(_EMPTY, ""),
}

#: The newest version of the records that this release writes; it leaves newer ones alone.
RECORD_VERSION: Final = 3
#: That of all but the jobs whose text or photo is encrypted. Releases that read no higher one leave
#: those jobs alone, and so do not send what they cannot read.
PLAIN_RECORD_VERSION: Final = 2

#: Fields whose value may be in pieces: `result`, `result:2`, `result:3` ...
FOLDED: Final = ("source", "metadata", "result", "error", "photo", "once")
#: Bytes of every piece but the last.
PIECE: Final = 64
#: A value that would need more pieces is stored whole.
MOST_PIECES: Final = 8


def fields_of(raw: Mapping[bytes, bytes]) -> dict[str, str]:
    """Decode a job's hash: join the pieces and fill in the blanks."""
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
