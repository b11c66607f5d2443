"""How the bodies of events are kept: compressed, for they are most of what the store holds."""

from __future__ import annotations

import zlib

import zstandard

_LEVEL = 1


class BodyCompressor:
    """Compresses for one event loop: what zstd works with is made once, and is not to be shared."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL)

    def compress(self, body: bytes) -> bytes:
        """Compress a body."""
        return self._compressor.compress(body)


def decompress(packed: bytes) -> bytes:
    """A body as it was.

    Parameters:
      packed: What a packer gave, of this release or of those before, which used zlib.
    """
    if packed.startswith(zstandard.FRAME_HEADER):
        return zstandard.ZstdDecompressor().decompress(packed)
    return zlib.decompress(packed)
