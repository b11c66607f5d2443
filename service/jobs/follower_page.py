"""A page of a follower export, as the worker hands it to the ledger. Pure data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.jobs.lua.append_follower_page import Remainder


@dataclass(frozen=True)
class RowBatch:
    """Rows of a follower export in stored form.

    Parameters:
      pks: The pk of each row, in order.
      packed: The rows, compressed.
    """

    pks: tuple[str, ...]
    packed: bytes


@dataclass(frozen=True)
class FollowerPage:
    """A page of a follower export.

    Parameters:
      pk: The user whose followers, or followed users, are exported.
      expected: Estimated number of rows of the whole export.
      batches: The rows that the export does not have yet.
      cursor: Cursor of the next page; '' at the end.
      remainder: What is left of the list after this page: `wanted`, `none`, or `unwanted` when
        there are as many rows as were asked for.
      dropped: How many entries of the page name no user.
      limited: Whether Instagram says that it shows only a part of the list.
    """

    pk: str
    expected: int
    batches: Sequence[RowBatch] = ()
    cursor: str = ""
    remainder: Remainder = "wanted"
    dropped: int = 0
    limited: bool = False
