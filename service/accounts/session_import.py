"""Replaces an account's stored session with one that was created elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

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
from service.jobs.audit_log import CLI, Requester, audit_entry

_NO_SESSION: Final = StoredSession({}, 0)


class OtherUser(SessionStoreError):
    """The session belongs to another Instagram user than the stored one."""


class OtherDevice(DeviceChanged):
    """The session belongs to another device than the stored one.

    Parameters:
      account: The account's name.
      traits: Dotted names of the traits that differ.
    """

    def __init__(self, account: str, traits: list[str]) -> None:
        super().__init__(
            f"account {account!r}: this session belongs to another device ({', '.join(traits)});"
            " an account keeps one device for life"
        )
        self.traits = traits


@dataclass(frozen=True)
class Imported:
    """The result of an import.

    Parameters:
      version: Version of the new session.
      device_reset: Whether the account's device changed, or may have changed because the replaced
        session could not be read.
    """

    version: int
    device_reset: bool


async def import_session(
    store: SessionStore,
    account: str,
    username: str,
    document: object,
    *,
    reset_device: bool = False,
    requester: Requester = CLI,
) -> Imported:
    """Store a session for an account; workers use it from their next call.

    Parameters:
      store: The session store.
      account: The account's name in the configuration.
      username: The Instagram username it logs in with.
      document: The settings, parsed from JSON.
      reset_device: Replace the stored session even if it belongs to another device or user, or
        cannot be read.
      requester: Who imports it, for the audit log.

    Raises:
      InvalidSession: The document is not a usable session, or belongs to another account.
      OtherUser: The stored session belongs to another user.
      OtherDevice: The stored session belongs to another device.
      SessionUnreadable: The stored session cannot be read, so it cannot be compared.
      SessionConflict: A worker saved the session in between; try again.
    """
    settings = check_document(document, username)
    # Read the version first, so that a session saved from now on is not overwritten.
    version = await store.version(account)
    changed = reset_device and await _changes_device(store, account, username, settings)
    if not reset_device:
        await _check_same_user_and_device(store, account, username, settings)
    decision = "session_reset" if changed else "session_import"
    new = await store.save(
        account,
        username,
        settings,
        version=version,
        reset_device=reset_device,
        audited=audit_entry(decision, "", requester, account),
    )
    return Imported(new, changed)


async def _changes_device(
    store: SessionStore, account: str, username: str, settings: Mapping[str, Any]
) -> bool:
    """Whether a session is another device's than the stored one, or may be: that is unreadable."""
    try:
        stored = await store.load(account, username) or _NO_SESSION
    except SessionUnreadable:
        return True
    return bool(changed_traits(stored.settings, settings))


async def _check_same_user_and_device(
    store: SessionStore, account: str, username: str, settings: Mapping[str, Any]
) -> None:
    stored = await store.load(account, username) or _NO_SESSION
    _check_same_user(account, user_pks(stored.settings), user_pks(settings))
    if traits := changed_traits(stored.settings, settings):
        raise OtherDevice(account, traits)


def _check_same_user(account: str, stored: set[str], new: set[str]) -> None:
    if stored and not stored & new:
        raise OtherUser(
            f"account {account!r}: this session belongs to another Instagram user than the stored"
            " one (authorization_data.ds_user_id); check NAME and the file"
        )
