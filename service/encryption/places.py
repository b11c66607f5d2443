"""The places that encrypted values are bound to. Pure.

The parts of a place are separated by a zero byte, which none of them has.
"""

from __future__ import annotations

from typing import Final

#: A cursor that names a person.
CURSOR: Final = b"cursor"


def event_body(source: str, event_id: str, fingerprint: str) -> bytes:
    """The body of an event, with the id that it came with.

    The store may keep it under another id (a conflict, another shape of a known event): then the
    event's record names the one that it came with. The fingerprint tells the shapes of an event
    apart.
    """
    return f"event\0{source}\0{event_id}\0{fingerprint}\0body".encode()


def job_text(job_id: str) -> bytes:
    """The text of a job, or the URL of its photo."""
    return f"job\0{job_id}\0text".encode()


def job_photo(job_id: str) -> bytes:
    """The photo of a job."""
    return f"job\0{job_id}\0photo".encode()
