"""The places that encrypted values are bound to. Pure.

The parts of a place are separated by a zero byte, which none of them has.
"""

from __future__ import annotations


def event_body(source: str, fingerprint: str) -> bytes:
    """The body of an event.

    The event's fingerprint stands for its id: the store chooses the id (a conflict and another
    shape of an event are stored under other ids than they came with), and the fingerprint of the
    body, which an event's record has, is the same for two events only if their data is.
    """
    return f"event\0{source}\0{fingerprint}\0body".encode()


def job_text(job_id: str) -> bytes:
    """The text of a job, or the URL of its photo."""
    return f"job\0{job_id}\0text".encode()


def job_photo(job_id: str) -> bytes:
    """The photo of a job."""
    return f"job\0{job_id}\0photo".encode()
