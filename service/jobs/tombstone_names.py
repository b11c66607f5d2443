"""Names of tombstones: what keeps something from being done twice after its person was erased.

While a person's data is kept, so are keys of Redis whose names end with a plain hash: of a business
key, or of a body. Who has a copy of the store can confirm a guess by such a hash. With the person's
erasure the key moves to a name that ends with `#` and a keyed hash (BLAKE2b, RFC 7693) of that
hash, under a key derived from `SECRET_KEY` (lua/lib/tombstones.lua).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final

from service.encryption.keys import derive_each

_PURPOSE: Final = b"heliograph/tombstones/v1"
#: 128 bits, as many as the plain hashes have at least.
_DIGEST_BYTES: Final = 16


class TombstoneNames:
    """Computes the names of tombstones.

    Parameters:
      secret_keys: The parts of `SECRET_KEY`, at least one: new tombstones are named with the first,
        and earlier ones are found with the others while it is rotated.
    """

    def __init__(self, secret_keys: Sequence[str]) -> None:
        keys = derive_each(",".join(secret_keys), _PURPOSE)
        self._hashes = [blake2b(digest_size=_DIGEST_BYTES, key=key) for key in keys]

    def endings(self, ending: str) -> list[str]:
        """What names end with in place of a plain hash, under each part; the current one first."""
        return [f"#{_hex(keyed, ending)}" for keyed in self._hashes]

    def all_of(self, name: str) -> list[str]:
        """The names of a key's tombstone, under each part of `SECRET_KEY`, the current one first.

        Parameters:
          name: Of the key, with its plain hash after the last colon.
        """
        beginning, _, ending = name.rpartition(":")
        return [f"{beginning}:{each}" for each in self.endings(ending)]

    def current(self, names: Iterable[str]) -> dict[str, str]:
        """Keys by name, each with the name of its new tombstone."""
        return {name: self.all_of(name)[0] for name in names}


def _hex(keyed: blake2b, ending: str) -> str:
    # A copy has the key's block hashed already, which is half of the work.
    state = keyed.copy()
    state.update(ending.encode())
    return state.hexdigest()
