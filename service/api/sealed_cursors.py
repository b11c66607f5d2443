"""Cursors that tell their holder nothing: the place where a list goes on is a person's name."""

from __future__ import annotations

from typing import Final

from service.api.callers import Caller
from service.api.schemas import invalid
from service.encryption import places
from service.encryption.cipher import Cipher, Unreadable

#: Begins a sealed cursor, and no other.
_SEALED: Final = "~"
#: What is plain in a URL, for what base64 has instead.
_TO_URL, _FROM_URL = str.maketrans("+/=", "-_."), str.maketrans("-_.", "+/=")


def seal(cursor: str | None, caller: Caller, cipher: Cipher) -> str | None:
    """Hide a cursor from a caller that may not see everybody; None stays."""
    if cursor is None or (caller.sees_people and caller.key.accounts is None):
        return cursor
    return _SEALED + cipher.encrypt_text(cursor, places.CURSOR).translate(_TO_URL)


def unseal(cursor: str | None, cipher: Cipher) -> str | None:
    """Return what was sealed; a cursor that is not sealed stays.

    Raises:
      ApiError: 422, it was changed, or is from before a change of SECRET_KEY.
    """
    if cursor is None or not cursor.startswith(_SEALED):
        return cursor
    try:
        return cipher.decrypt_text(cursor[1:].translate(_FROM_URL), places.CURSOR)
    except Unreadable:
        raise invalid("cursor", "is not a cursor of this list: leave it out to begin") from None
