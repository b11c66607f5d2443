"""Every reply of the table, by the test that meets them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tests.instagram import (
    replies_about_accounts,
    replies_in_doubt,
    replies_out_of_shape,
    replies_to_comments,
    replies_to_dms,
)
from tests.instagram.reply_rows import Row

REPLIES: Final[Mapping[str, Sequence[Row]]] = {
    "recipients": replies_to_dms.RECIPIENTS,
    "texts and blocks": (*replies_to_dms.TEXTS, *replies_to_dms.BLOCKS),
    "unknown words": replies_to_dms.UNKNOWN_WORDS,
    "comments": replies_to_comments.ROWS,
    "accounts that rest": replies_about_accounts.RESTS,
    "accounts that are held": replies_about_accounts.HOLDS,
    "sessions": replies_about_accounts.SESSIONS,
    "writes in doubt": replies_in_doubt.WRITES,
    "reads": replies_in_doubt.READS,
    "out of shape": replies_out_of_shape.ROWS,
}
