"""Masks what shows a person in what the API answers: for keys that may not see it. Pure.

What is masked goes by the names of fields, wherever they are: in a job, a list, a callback's
payload, a live update. A new field that shows a person is added here.
"""

from __future__ import annotations

from typing import Any, Final

#: Stands for a text.
MASK: Final = "***"
#: Recipients, texts, and what identifies either.
_TEXTS: Final = frozenset(
    ("to", "post", "pk", "username", "text", "text_hash", "body", "thread_id", "note")
)
#: In an object that names somebody: why that one is not to be written to.
_TEXTS_OF_PERSON: Final = _TEXTS | {"reason"}
#: The same, by where they are: a sentence that may repeat what was sent, the identity of a photo.
_PLACED_TEXTS: Final = frozenset((("error", "message"), ("photo", "sha256")))
#: Objects of which each part identifies a person.
_IDENTITIES: Final = frozenset(("thread", "links"))
#: What callers have written, whose parts have names that nobody knows.
_UNKNOWN: Final = frozenset(("metadata",))
#: These have fields of such names that show nobody: why an account is paused, which days a report
#: has.
_IMPERSONAL: Final = frozenset(("hold", "report"))


def mask(value: Any, inside: str = "") -> Any:
    """A JSON value with masks for what shows a person; nulls stay.

    Parameters:
      value: The value.
      inside: The name of the field that it is in; empty for none.
    """
    if isinstance(value, list):
        return [mask(each, inside) for each in value]
    if isinstance(value, dict) and inside not in _IMPERSONAL:
        texts = _TEXTS_OF_PERSON if "username" in value else _TEXTS
        return {name: _mask_field(name, each, inside, texts) for name, each in value.items()}
    return value


def _mask_field(name: str, value: Any, inside: str, texts: frozenset[str]) -> Any:
    if value is None:
        return None
    if name in _UNKNOWN:
        return {"masked": True}
    if name in texts or inside in _IDENTITIES or (inside, name) in _PLACED_TEXTS:
        return MASK
    return mask(value, name)
