"""The fake Instagram's users: named users, accounts that log in, and synthetic followers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_USERNAME = re.compile(r"[a-z0-9._]{1,30}")
_FOLLOWER_NAME = re.compile(r"follower\.(\d{7})")
_FOLLOWER_PK = 70_000_000_000
_OPEN_WORLD_PK = 40_000_000_000
_NAMED_PK = 1_000_000
#: The most followers a user can have: names of synthetic followers have seven digits.
MAX_FOLLOWERS = 10_000_000


@dataclass(frozen=True)
class Profile:
    """A user's profile besides username and pk.

    Parameters:
        takes_requests: whether strangers may open a thread.
        messages: whose messages it takes, a key of `RECIPIENT_SETTINGS`.
        shape: the fields its profile is shown with, a key of `USER_SHAPES`.
        lists: how its followers are listed, a key of `LISTINGS`.
        followers, following: how many; they are the first synthetic followers.
    """

    full_name: str = ""
    is_private: bool = False
    is_verified: bool = False
    is_business: bool = False
    takes_requests: bool = True
    messages: str = "everyone"
    shape: str = "usual"
    lists: str = "complete"
    followers: int = 0
    following: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.followers <= MAX_FOLLOWERS or not 0 <= self.following <= MAX_FOLLOWERS:
            raise ValueError(f"followers, following: from 0 to {MAX_FOLLOWERS}")


@dataclass(eq=False)
class User:
    """A user; its profile may be replaced."""

    pk: int
    username: str
    profile: Profile = field(default_factory=Profile)


@dataclass(eq=False)
class Account:
    """A user who can log in.

    Parameters:
        user: the account's user.
        password: in plain text; this is a fake Instagram.
        totp_seed: base32; if set, a login needs its current TOTP code (RFC 6238).
        profile_code: if set, a login needs this code, as if sent by e-mail.
    """

    user: User
    password: str
    totp_seed: str | None = None
    profile_code: str | None = None

    @property
    def username(self) -> str:
        return self.user.username


class Users:
    """Every user and account.

    Parameters:
        open_world: every valid username exists, except those that start with `missing`.
    """

    def __init__(self, *, open_world: bool) -> None:
        self._open_world = open_world
        self._by_name: dict[str, User] = {}
        self._by_pk: dict[int, User] = {}
        self.accounts: dict[str, Account] = {}

    def add(self, username: str, profile: Profile | None = None, pk: int | None = None) -> User:
        """Add a user, or replace the profile of the user with this name.

        Raises:
            ValueError: the name is invalid, or the pk belongs to another user.
        """
        if not _USERNAME.fullmatch(username):
            raise ValueError(f"username {username!r}: use 1 to 30 of a-z, 0-9, dot and underscore")
        user = self._by_name.get(username)
        if user is None:
            user = User(pk or _NAMED_PK + len(self._by_name), username)
        holder = self._by_pk.get(pk or user.pk, user)
        if holder is not user or (pk is not None and pk != user.pk):
            raise ValueError(f"pk {pk or user.pk}: {holder.username} has pk {holder.pk}")
        user.profile = profile or Profile(full_name=_full_name(username))
        return self._store(user)

    def add_account(
        self,
        username: str,
        password: str,
        *,
        totp_seed: str | None = None,
        profile_code: str | None = None,
    ) -> Account:
        """Add or replace an account; its user is created if missing."""
        user = self._by_name.get(username) or self.add(username)
        account = Account(user, password, totp_seed, profile_code)
        self.accounts[username] = account
        return account

    def named(self, username: str) -> User | None:
        """The user that was added with this name, if there is one."""
        return self._by_name.get(username)

    def by_name(self, username: str) -> User | None:
        """The user with this name, if there is one."""
        user = self._by_name.get(username)
        if user is not None:
            return user
        if follower := _FOLLOWER_NAME.fullmatch(username):
            return _synthetic_follower(int(follower[1]))
        return self._invent(username)

    def by_pk(self, pk: int) -> User | None:
        """The user with this pk, if there is one."""
        user = self._by_pk.get(pk)
        if user is not None:
            return user
        if _FOLLOWER_PK <= pk < _FOLLOWER_PK + MAX_FOLLOWERS:
            return _synthetic_follower(pk - _FOLLOWER_PK)
        return self._store(User(pk, f"user.{pk}")) if self._open_world and pk > 0 else None

    def _invent(self, username: str) -> User | None:
        known = not username.startswith("missing") and _USERNAME.fullmatch(username)
        if not self._open_world or not known:
            return None
        digest = hashlib.sha256(username.encode()).digest()
        pk = _OPEN_WORLD_PK + int.from_bytes(digest[:8], "big") % 10**10
        return self._store(User(pk, username, Profile(full_name=_full_name(username))))

    def _store(self, user: User) -> User:
        self._by_name[user.username] = self._by_pk[user.pk] = user
        return user


def synthetic_followers(start: int, stop: int) -> Iterator[User]:
    """The synthetic followers from `start` up to `stop`, created lazily."""
    return map(_synthetic_follower, range(start, stop))


def _synthetic_follower(index: int) -> User:
    profile = Profile(
        full_name=f"Follower {index}", is_private=index % 7 == 0, is_verified=index % 1000 == 0
    )
    return User(_FOLLOWER_PK + index, f"follower.{index:07d}", profile)


def _full_name(username: str) -> str:
    return username.replace(".", " ").title()
