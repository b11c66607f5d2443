"""What a request says in a customer's words, which Instagram's reply may repeat. Pure.

A refusal that quotes a name or a text ("User please_wait not found") would otherwise be judged by
the words of whoever wrote that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

#: The fields of a write that have its text (aiograpi 2.1.2, mixins/direct.py and comment.py).
_TEXTS: Final = ("text", "link_text", "comment_text")
#: A shorter text may be words of Instagram's own: "message", "this account".
_MIN_TEXT: Final = 20
_PROFILE: Final = re.compile(r"users/([^/]+)/usernameinfo/")


def sent_words(endpoint: str, data: Any) -> list[str]:
    """The texts and names in a request.

    Parameters:
      endpoint: Its path.
      data: Its fields; anything but a mapping has none.

    Returns:
      Texts of at least 20 characters, and a username that words for programs could be: one with an
      underscore. Others stand for themselves: `found` in "user not found" may be Instagram's word.
    """
    fields = data if isinstance(data, Mapping) else {}
    texts = [str(fields[name]).strip() for name in _TEXTS if fields.get(name)]
    name = _PROFILE.match(endpoint)
    names = [name[1]] if name and "_" in name[1] else []
    return [text for text in texts if len(text) >= _MIN_TEXT] + names
