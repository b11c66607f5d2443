"""Putting a session that was made elsewhere in the place of the stored one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from service.accounts.device_identity import changed_traits
from service.accounts.session_settings import user_pks
from service.accounts.session_store import (
    DeviceChanged,
    SessionStore,
    SessionStoreError,
    SessionUnreadable,
    StoredSession,
)
from service.accounts.session_validation import check_document

_NOTHING: Final = StoredSession({}, 0)


class OtherUser(SessionStoreError):
    """The session is another Instagram user's than the stored one."""


class OtherDevice(DeviceChanged):
    """The session is of another device than the stored one.

    Parameters:
      account: Whose.
      traits: The dotted names of what differs.
    """

    def __init__(self, account: str, traits: list[str]) -> None:
        super().__init__(
            f"account {account!r}: this session is of another device ({', '.join(traits)});"
            " an account keeps one device for life"
        )
        self.traits = traits


@dataclass(frozen=True)
class Imported:
    """What became of the stored session.

    Parameters:
      version: The new session's.
      device_reset: Whether the account has another device now, or may have: the session that was
        replaced could not be read.
    """

    version: int
    device_reset: bool


async def import_session(
    vault: SessionStore,
    account: str,
    username: str,
    document: object,
    *,
    reset_device: bool = False,
) -> Imported:
    """Store a session for an account; a worker that acts as it goes on with it at its next call.

    Parameters:
      vault: Where sessions live.
      account: The account's name in the configuration.
      username: The Instagram username it logs in with.
      document: The settings, from JSON.
      reset_device: Replace even another device's or user's session, or one that cannot be read.

    Raises:
      DocumentRefused: The document is no session, or another account's.
      OtherUser: The stored session is another user's.
      OtherDevice: The stored session is of another device.
      SessionUnreadable: The stored session cannot be read, so nothing can be compared.
      SessionConflict: A worker saved the session in between; try again.
    """
    settings = check_document(document, username)
    # Read first: what is saved after this is not overwritten.
    version = await vault.version(account)
    try:
        stored = await vault.load(account, username) or _NOTHING
    except SessionUnreadable:
        if not reset_device:
            raise
        changed = True
    else:
        traits = changed_traits(stored.settings, settings)
        changed = bool(traits)
        if not reset_device:
            _refuse_another_user(account, user_pks(stored.settings), user_pks(settings))
            if traits:
                raise OtherDevice(account, traits)
    new = await vault.save(account, username, settings, version=version, reset_device=reset_device)
    return Imported(new, changed)


def _refuse_another_user(account: str, stored: set[str], new: set[str]) -> None:
    if stored and not stored & new:
        raise OtherUser(
            f"account {account!r}: this session is another Instagram user's than the stored one"
            " (authorization_data.ds_user_id); check NAME and the file"
        )
