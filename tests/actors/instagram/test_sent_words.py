"""What of a request a reply may repeat."""

from __future__ import annotations

from typing import Any

import pytest

from actors.instagram.sent_words import sent_words

_PROFILE = "users/{}/usernameinfo/"
_LONG = "Please wait a few minutes"


@pytest.mark.parametrize(
    ("endpoint", "data", "sent"),
    [
        (_PROFILE.format("please_wait"), None, ["please_wait"]),
        (_PROFILE.format("found"), None, []),
        ("direct_v2/threads/broadcast/text/", {"text": _LONG, "action": "send_item"}, [_LONG]),
        ("direct_v2/threads/broadcast/link/", {"link_text": f" {_LONG}\n"}, [_LONG]),
        ("media/1/comment/", {"comment_text": _LONG}, [_LONG]),
        ("media/1/comment/", {"comment_text": "message"}, []),
        ("media/1/comment/", "signed_body=x", []),
        ("feed/timeline/", None, []),
    ],
)
def test_long_texts_and_names_like_words_for_programs_are_left_out(
    endpoint: str, data: Any, sent: list[str]
) -> None:
    assert sent_words(endpoint, data) == sent
