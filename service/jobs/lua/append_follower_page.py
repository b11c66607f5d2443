from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from service.jobs.lua.call import Argument, ScriptCall, word

Remainder = Literal["wanted", "none", "unwanted"]
FollowerPageReply = Literal["more", "succeeded", "canceled", "expired", "failed", "lost"]


def append_follower_page(
    job_id: str,
    owner: str,
    fence: int,
    reads: int,
    pk: str,
    cursor: str,
    facts: str,
    *row_batches: tuple[bytes, Sequence[str]],
) -> ScriptCall[FollowerPageReply]:
    """Store a page of a follower export (append_follower_page.lua)."""
    args: list[Argument] = [job_id, owner, fence, reads, pk, cursor, facts]
    for rows, user_ids in row_batches:
        args += [len(user_ids), rows, *user_ids]
    return ScriptCall("append_follower_page", tuple(args), word)
