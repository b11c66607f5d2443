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

    def endings(self, plain_hash: str) -> list[str]:
        """What tombstones end with in place of a plain hash.

        Returns:
          One under each part of `SECRET_KEY`, the current one first.
        """
        return [_ending(keyed, plain_hash) for keyed in self._hashes]

    def new_names(self, names: Iterable[str]) -> dict[str, str]:
        """By the names of keys, those of their tombstones."""
        return {name: self._new_name(name) for name in names}

    def _new_name(self, name: str) -> str:
        beginning, _, plain_hash = name.rpartition(":")
        return f"{beginning}:{_ending(self._hashes[0], plain_hash)}"


def _ending(keyed: blake2b, plain_hash: str) -> str:
    # A copy has the key's block hashed already, which is half of the work.
    state = keyed.copy()
    state.update(plain_hash.encode())
    return f"#{state.hexdigest()}"
