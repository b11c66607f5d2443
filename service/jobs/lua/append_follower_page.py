"""Store a page of a follower export (append_follower_page.lua)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from service.jobs.lua.call import Argument, ScriptCall, word

FollowerPageReply = Literal["more", "succeeded", "canceled", "expired", "failed", "lost"]


def append_follower_page(
    job_id: str,
    owner: str,
    fence: int,
    reads: int,
    pk: str,
    expected: int,
    cursor: str,
    last: Literal["last", "more"],
    *row_batches: tuple[bytes, Sequence[str]],
) -> ScriptCall[FollowerPageReply]:
    """Store a page; the export goes on from it, or ends.

    Parameters:
      job_id: The job.
      owner: As it was claimed.
      fence: As it was claimed.
      reads: Calls that served the job besides the one charged with the claim.
      pk: Id of the user whose followers are read.
      expected: How many rows there may be in all.
      cursor: Where the next page begins; '' at the end.
      last: Whether pages follow.
      row_batches: Rows, packed, with the user ids in them.

    Returns:
      A call that replies `more`; what the export has become instead; or `lost` when the claim no
      longer held: then nothing changed. A page that is given again gets the same reply and is not
      stored twice.
    """
    fixed = (job_id, owner, fence, reads, pk, expected, cursor, last)
    return ScriptCall("append_follower_page", (*fixed, *_flat(row_batches)), word)


def _flat(row_batches: Sequence[tuple[bytes, Sequence[str]]]) -> Iterator[Argument]:
    for rows, user_ids in row_batches:
        yield len(user_ids)
        yield rows
        yield from user_ids
