"""Compression of stored event bodies, which take most of the store's memory."""

from __future__ import annotations

import zlib

import zstandard

_LEVEL = 1


class BodyCompressor:
    """Compresses bodies with one zstd context, which must not be shared between threads."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL)

    def compress(self, body: bytes) -> bytes:
        return self._compressor.compress(body)


def decompress(packed: bytes) -> bytes:
    """Decompress a body of this release (zstd) or an older one (zlib)."""
    if packed.startswith(zstandard.FRAME_HEADER):
        return zstandard.ZstdDecompressor().decompress(packed)
    return zlib.decompress(packed)
