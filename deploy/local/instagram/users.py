"""Who lives in the fake Instagram: named users, accounts that log in, and synthetic followers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_USERNAME = re.compile(r"[a-z0-9._]{1,30}")
_CROWD = re.compile(r"follower\.(\d{7})")
_CROWD_PK = 70_000_000_000
_OPEN_PK = 40_000_000_000
_NAMED_PK = 1_000_000
#: The most followers one user can have: the crowd's names carry seven digits.
CROWD_SIZE = 10_000_000


@dataclass(frozen=True)
class Profile:
    """What there is to know about a user besides name and number.

    Parameters:
        takes_requests: whether strangers may open a thread.
        followers, following: how many; they are drawn from the crowd, in order.
    """

    full_name: str = ""
    is_private: bool = False
    is_verified: bool = False
    is_business: bool = False
    takes_requests: bool = True
    followers: int = 0
    following: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.followers <= CROWD_SIZE or not 0 <= self.following <= CROWD_SIZE:
            raise ValueError(f"followers, following: from 0 to {CROWD_SIZE}")


@dataclass(eq=False)
class User:
    """Somebody with a name and Instagram's number; the profile may change, the user stays."""

    pk: int
    username: str
    profile: Profile = field(default_factory=Profile)


@dataclass(eq=False)
class Account:
    """A user who can log in.

    Parameters:
        user: the profile behind the account.
        password: in the clear; this is a fake Instagram.
        totp_seed: base32; set, a login needs the code of the moment (RFC 6238).
        profile_code: set, a login needs this code, as if it had been sent by e-mail.
    """

    user: User
    password: str
    totp_seed: str | None = None
    profile_code: str | None = None

    @property
    def username(self) -> str:
        """The name it logs in with."""
        return self.user.username


class Users:
    """Finds and makes users.

    Parameters:
        open_world: every valid username exists, but for those that start with `missing`.
    """

    def __init__(self, *, open_world: bool) -> None:
        self._open_world = open_world
        self._by_name: dict[str, User] = {}
        self._by_pk: dict[int, User] = {}
        self.accounts: dict[str, Account] = {}

    def add(self, username: str, profile: Profile | None = None, pk: int | None = None) -> User:
        """Add a user, or give the one of this name another profile.

        Raises:
            ValueError: if the name is not valid, or the pk belongs to somebody else.
        """
        if not _USERNAME.fullmatch(username):
            raise ValueError(f"username {username!r}: use 1 to 30 of a-z, 0-9, dot and underscore")
        user = self._by_name.get(username)
        if user is None:
            user = User(pk or _NAMED_PK + len(self._by_name), username)
        holder = self._by_pk.get(pk or user.pk, user)
        if holder is not user or (pk is not None and pk != user.pk):
            raise ValueError(f"pk {pk or user.pk}: {holder.username} has pk {holder.pk}")
        user.profile = profile or Profile(full_name=_titled(username))
        return self._remember(user)

    def add_account(
        self,
        username: str,
        password: str,
        *,
        totp_seed: str | None = None,
        profile_code: str | None = None,
    ) -> Account:
        """Add or replace an account; its user is made when there is none of that name."""
        user = self._by_name.get(username) or self.add(username)
        account = Account(user, password, totp_seed, profile_code)
        self.accounts[username] = account
        return account

    def by_name(self, username: str) -> User | None:
        """The user of this name, if there is one."""
        user = self._by_name.get(username)
        if user is not None:
            return user
        if crowd := _CROWD.fullmatch(username):
            return _member(int(crowd[1]))
        return self._invent(username)

    def by_pk(self, pk: int) -> User | None:
        """The user of this number, if there is one."""
        user = self._by_pk.get(pk)
        if user is not None:
            return user
        if _CROWD_PK <= pk < _CROWD_PK + CROWD_SIZE:
            return _member(pk - _CROWD_PK)
        return self._remember(User(pk, f"user.{pk}")) if self._open_world and pk > 0 else None

    def _invent(self, username: str) -> User | None:
        known = not username.startswith("missing") and _USERNAME.fullmatch(username)
        if not self._open_world or not known:
            return None
        digest = hashlib.sha256(username.encode()).digest()
        pk = _OPEN_PK + int.from_bytes(digest[:8], "big") % 10**10
        return self._remember(User(pk, username, Profile(full_name=_titled(username))))

    def _remember(self, user: User) -> User:
        self._by_name[user.username] = self._by_pk[user.pk] = user
        return user


def crowd(start: int, stop: int) -> Iterator[User]:
    """The synthetic followers from `start` up to `stop`, made as they are asked for."""
    return map(_member, range(start, stop))


def _member(index: int) -> User:
    profile = Profile(
        full_name=f"Follower {index}", is_private=index % 7 == 0, is_verified=index % 1000 == 0
    )
    return User(_CROWD_PK + index, f"follower.{index:07d}", profile)


def _titled(username: str) -> str:
    return username.replace(".", " ").title()
