"""Sessions, devices and unfinished logins."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from deploy.local.instagram.records import DeviceRecord, LoginRecord
from deploy.local.instagram.users import Account


@dataclass(frozen=True)
class Device:
    """A device, from the client's headers."""

    android_device_id: str
    phone_id: str
    uuid: str
    user_agent: str


@dataclass(eq=False)
class _Session:
    """A session; once it has ended, its calls get the refusal named `end`."""

    account: Account
    alive: bool = True
    end: str = "login_required"


class Sessions:
    """Every session, unfinished login, device and login attempt."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}
        self._unfinished: dict[str, Account] = {}
        self._devices: dict[tuple[str, Device], DeviceRecord] = {}
        self.logins: list[LoginRecord] = []

    def open(self, account: Account) -> str:
        """Open a session; returns its id, which starts with the user's pk as at Instagram."""
        session_id = f"{account.user.pk}%3A{secrets.token_urlsafe(24)}%3A{len(self._sessions)}"
        self._sessions[session_id] = _Session(account)
        return session_id

    def account(self, session_id: str | None) -> Account | None:
        """The account of a valid session."""
        session = self._sessions.get(session_id or "")
        return session.account if session and session.alive else None

    def owner(self, session_id: str | None) -> Account | None:
        """The account of a session, valid or expired."""
        session = self._sessions.get(session_id or "")
        return session.account if session else None

    def end_of(self, session_id: str | None) -> str:
        """The name of the refusal that calls without a valid session get."""
        session = self._sessions.get(session_id or "")
        return session.end if session else "login_required"

    def expire(self, username: str, end: str = "login_required") -> int:
        """Expire every session of an account; returns how many were valid.

        Parameters:
            end: the name of the refusal that their calls get from now on.
        """
        alive = [
            entry
            for entry in self._sessions.values()
            if entry.alive and _belongs_to(username, entry.account)
        ]
        for session in alive:
            session.alive, session.end = False, end
        return len(alive)

    def suspend_login(self, account: Account) -> str:
        """Store a login that still needs a code; returns the context to finish it with."""
        context = secrets.token_hex(16)
        self._unfinished[context] = account
        return context

    def unfinished(self, context: str) -> Account | None:
        """The account of an unfinished login."""
        return self._unfinished.get(context)

    def finish_login(self, context: str) -> None:
        """Remove an unfinished login."""
        self._unfinished.pop(context, None)

    def record_login(self, username: str, via: str, outcome: str, device: Device | None) -> None:
        """Record the reply to a password or a code."""
        name = device.android_device_id if device else ""
        self.logins.append(
            {
                "account": username,
                "via": via,
                "outcome": outcome,
                "device": name,
                "at": time.time(),
            }
        )

    def record_device(self, username: str, device: Device) -> None:
        """Record a call of an account from a device."""
        known = self._devices.get((username, device))
        if known is not None:
            known["calls"] += 1
            return
        self._devices[username, device] = {
            "account": username,
            "android_device_id": device.android_device_id,
            "phone_id": device.phone_id,
            "uuid": device.uuid,
            "user_agent": device.user_agent,
            "first_seen_at": time.time(),
            "calls": 1,
        }

    def devices(self) -> list[DeviceRecord]:
        """Every distinct device of every account."""
        return list(self._devices.values())


def _belongs_to(username: str, account: Account) -> bool:
    return account.username == username
