"""Counts what a connection sends besides body data: heads, chunk sizes, extensions, trailers.

uvicorn and the limits of bodies count body data alone. Go limits the rest in the same way since
CVE-2023-39326 (net/http/internal/chunked.go, `excess`).
"""

from __future__ import annotations

from typing import Final

from service.http.request_heads import MAX_HEAD_BYTES

#: A chunk of one byte has at most that many around it (RFC 9112, section 7.1).
_PER_BODY_BYTE: Final = 16


class FramingCounter:
    """Counts by packets; a part is a head, or a body with its chunks and trailers.

    A packet in which a part ends is not counted, because its bytes belong to both.
    """

    def __init__(self) -> None:
        self._part_ended = False
        self._packet_body_bytes = self._body_bytes = 0
        # In this part: all, and those since the last body data.
        self._bytes = self._run = 0

    @property
    def has_strays(self) -> bool:
        """Whether something has come that is not complete yet."""
        return self._run > 0

    def start_packet(self) -> None:
        """What follows came in one packet."""
        self._part_ended = False
        self._packet_body_bytes = 0

    def start_part(self) -> None:
        """A head or body has ended, and the next part begins."""
        self._part_ended = True
        self._body_bytes = self._packet_body_bytes = 0

    def add_body(self, size: int) -> None:
        """The packet has that many bytes of body data."""
        self._body_bytes += size
        self._packet_body_bytes += size

    def end_packet(self, size: int) -> bool:
        """Count a packet; return whether there is too much besides body data.

        Parameters:
          size: Of the whole packet, in bytes.
        """
        if self._part_ended:
            self._bytes = self._run = 0
            return False
        self._bytes += size - self._packet_body_bytes
        self._run = 0 if self._packet_body_bytes else self._run + size
        allowed = MAX_HEAD_BYTES + _PER_BODY_BYTE * self._body_bytes
        return self._run > MAX_HEAD_BYTES or self._bytes > allowed
