"""The pks of users and posts, in whichever of its forms a reply names them. Pure.

Instagram writes a user's pk as `pk`, `pk_id`, `id` or `strong_id__`, as a number or as text, and
not all of them in every reply (aiograpi 2.1.2, extractors.py; instagrapi issue 1705). A post has
the same fields, with `pk_userpk` as its id.
"""

from __future__ import annotations

import re
from typing import Final

from actors.instagram.reply_fields import Reply, mapping, numeric_id, text

_FORMS: Final = ("pk", "pk_id", "id", "strong_id__")
_MEDIA_ID: Final = re.compile(r"([1-9][0-9]*)_([1-9][0-9]*)")


class MissingPk(LookupError):
    """A user or post in a reply has no pk in any form."""


def find_user_pk(user: Reply) -> str | None:
    """The user's pk in digits; None when no form of it is there."""
    return next((pk for form in _FORMS if (pk := numeric_id(user.get(form)))), None)


def user_pk(user: Reply) -> str:
    """The user's pk in digits.

    Raises:
      MissingPk: No form of it is there.
    """
    if pk := find_user_pk(user):
        return pk
    raise MissingPk("a user without a pk")


def post_pk(media: Reply) -> str:
    """The post's pk in digits.

    Raises:
      MissingPk: No form of it is there.
    """
    for form in _FORMS:
        value = media.get(form)
        if pk := numeric_id(value) or _media_id_part(value, 1):
            return pk
    raise MissingPk("a post without a pk")


def owner_pk(media: Reply) -> str | None:
    """The pk of the post's owner, from its user or from its id; None when neither is there."""
    for user in (mapping(media.get("user")), mapping(media.get("owner"))):
        if pk := find_user_pk(user):
            return pk
    return _media_id_part(media.get("id"), 2) or _media_id_part(media.get("strong_id__"), 2)


def _media_id_part(value: object, part: int) -> str | None:
    found = _MEDIA_ID.fullmatch(text(value).strip())
    return found[part] if found else None
