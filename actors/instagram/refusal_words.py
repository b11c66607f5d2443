"""The words by which a reply of Instagram says what it means, at whatever status they come.

One table, searched from the top: the first row that fits any text of the reply decides, so that
what is particular stands above what is general. The words are Instagram's English ones, as clients
of its private API have reported them; in another language only the machine words are found. All are
compared as `reply_texts.fold` writes them: no capitals, underscores as spaces, straight quotes.
"""

from __future__ import annotations

import re
from typing import Final

from actors.instagram import error_policies as policies
from actors.instagram.account_words import ACCOUNT_WORDS
from actors.instagram.error_policies import ErrorPolicy
from actors.instagram.target_words import NOT, TARGET_WORDS

Rows = tuple[tuple[ErrorPolicy, re.Pattern[str]], ...]
Flags = tuple[tuple[str, ErrorPolicy], ...]

#: This kind of action, said in general: only where nothing else says more.
_BLOCK: Final = (
    r"\bfeedback required\b",
    r"\baction blocked\b",
    # instagrapi issue 2355, mgp25/Instagram-API issue 2369, instagram-php-scraper issue 766
    rf"\b{NOT} (?:add |post |leave |make )?(?:your |a |this |any )?comments?\b",
    rf"\bcomments? (?:was |were )?(?:not|{NOT}) (?:be )?(?:posted|added)\b",
    rf"\byou(?:'re| are)? {NOT} (?:send|write) (?:\w+ )?messages?\b",
    r"\bfailed to (?:post|add|create) (?:your |a |the )?comments?\b",
    r"\bfeature isn't available\b",
    r"\bprotect our community\b",
)

#: Fields that say what the words do not: of one comment, and in general.
COMMENT_FLAGS: Final[Flags] = (
    ("comments_disabled", policies.COMMENTS_DISABLED),
    ("comment_error_key", policies.COMMENT_REFUSED),
)
FLAGS: Final[Flags] = (
    ("consent_data", policies.CONSENT_REQUIRED),
    ("checkpoint_url", policies.CHECKPOINT_REQUIRED),
    ("challenge", policies.CHALLENGE_REQUIRED),
    ("feedback_required", policies.FEEDBACK_REQUIRED),
    ("spam", policies.FEEDBACK_REQUIRED),
)


def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


ROWS: Final[Rows] = tuple(
    (policy, _any_of(patterns)) for policy, patterns in (*ACCOUNT_WORDS, *TARGET_WORDS)
)
BLOCK_ROW: Final[Rows] = ((policies.FEEDBACK_REQUIRED, _any_of(_BLOCK)),)
