"""Records that a newer release has written, while two releases run: this one leaves them alone."""

from __future__ import annotations

from service.http.errors import ApiError
from service.jobs.lua.hash_encoding import RECORD_VERSION


def newer_record(what: str, version: int) -> ApiError:
    """Build the 409 error for a change of such a record.

    Parameters:
      what: `job`, `event` or `operation`.
      version: The version of the record.
    """
    return ApiError(
        409,
        "newer_release",
        f"A newer release of Heliograph has written this {what} (record version {version}; this"
        f" process knows up to {RECORD_VERSION}), so nothing was changed. Send the request again"
        " when the deploy is complete.",
    )
