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
    ("to", "post", "pk", "username", "text", "text_hash", "sha256", "body", "thread_id")
)
#: What callers have written, whose parts have names that nobody knows.
_OBJECTS: Final = frozenset(("metadata",))
#: Where a sentence may repeat what was sent.
_SENTENCES: Final = frozenset(("error",))


def mask(value: Any, inside: str = "") -> Any:
    """A JSON value with masks for what shows a person; nulls stay.

    Parameters:
      value: Anything but a tuple.
      inside: The name of the field that it is in; empty for none.
    """
    if isinstance(value, list):
        return [mask(each, inside) for each in value]
    if isinstance(value, dict):
        return {name: _mask_field(name, each, inside) for name, each in value.items()}
    return value


def _mask_field(name: str, value: Any, inside: str) -> Any:
    if value is None:
        return None
    if name in _TEXTS or (name == "message" and inside in _SENTENCES):
        return MASK
    return {"masked": True} if name in _OBJECTS else mask(value, name)
