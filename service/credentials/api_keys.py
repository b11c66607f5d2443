"""The keys of API_KEYS: who has them, and what each may do. Pure.

An entry is `name:key`, `name:key:scope+scope` or `name:key:scope@account+account`; a bare `key` is
named `default`, and a key without scopes may do everything.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, get_args

from service.credentials.strength import has_entropy

KeyScope = Literal["read", "jobs", "accounts", "admin"]

SCOPES: Final[tuple[KeyScope, ...]] = get_args(KeyScope)
#: What each scope allows. Who changes something must see what there is to change.
INCLUDED: Final[Mapping[KeyScope, frozenset[KeyScope]]] = {
    "read": frozenset(("read",)),
    "jobs": frozenset(("jobs", "read")),
    "accounts": frozenset(("accounts", "read")),
    "admin": frozenset(SCOPES),
}
DEFAULT_NAME: Final = "default"
MIN_KEY_LENGTH: Final = 16
REMEDY: Final = "`openssl rand -hex 32` makes one"
GUESSABLE: Final = f"is easy to guess (repetitive, a sequence or a placeholder); {REMEDY}"

#: What a header can carry.
KEY_FORM: Final = re.compile(rf"[\x21-\x7e]{{{MIN_KEY_LENGTH},}}")
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_WORD: Final = re.compile(r"[A-Za-z]{3,}")
_LETTERS: Final = re.compile(r"[^0-9]*")
#: How alike a mistyped scope is to the one that was meant (`difflib`'s ratio).
_ALIKE: Final = 0.75
_ALL: Final = " and ".join((", ".join(f"`{each}`" for each in SCOPES[:-1]), f"`{SCOPES[-1]}`"))


@dataclass(frozen=True)
class ApiKey:
    """A key of API_KEYS.

    Parameters:
      name: Of the caller that it was issued to.
      secret: What the caller sends.
      scopes: All that it may do, with what these include.
      accounts: Those that it is bound to; None for all accounts.
    """

    name: str
    secret: str = field(repr=False)
    scopes: frozenset[KeyScope] = frozenset(SCOPES)
    accounts: frozenset[str] | None = None

    def may(self, scope: KeyScope) -> bool:
        """Whether it has a scope, or one that includes it."""
        return scope in self.scopes

    def sees(self, account: str) -> bool:
        """Whether it is bound to no accounts, or to this one among others."""
        return self.accounts is None or account in self.accounts

    def only_account(self, asked: str | None) -> str | None:
        """The one account that a list can be limited to: the one asked for, or the only one that
        the key is bound to; None if there is none.
        """
        if asked is None and self.accounts is not None and len(self.accounts) == 1:
            return next(iter(self.accounts))
        return asked


def parse_api_keys(text: str) -> tuple[ApiKey, ...]:
    """Parse API_KEYS.

    Parameters:
      text: Entries, comma-separated.

    Raises:
      ValueError: An entry is unusable; the message continues "API_KEYS", names the entry, and shows
        no key.
    """
    keys: list[ApiKey] = []
    for entry in text.split(","):
        key = _parse_entry(entry.strip())
        _check_others(key, keys)
        keys.append(key)
    return tuple(keys)


def _parse_entry(entry: str) -> ApiKey:
    name, separator, rest = (part.strip() for part in entry.partition(":"))
    if not separator:
        name, rest = DEFAULT_NAME, entry
    secret, colon, last = (part.strip() for part in rest.rpartition(":"))
    if not colon or not KEY_FORM.fullmatch(secret) or _belongs_to_the_key(last):
        return _checked(ApiKey(name, rest))
    rights, at, accounts = (part.strip() for part in last.partition("@"))
    key = _checked(ApiKey(name, secret))
    key = replace(key, scopes=_parse_scopes(name, rights))
    return replace(key, accounts=_parse_accounts(key, accounts)) if at else key


def _belongs_to_the_key(last: str) -> bool:
    """Whether what follows the last colon is the end of a key that has colons, and no scopes.

    A mistyped scope must not become a part of the key, which would then be allowed everything.
    """
    words = [*_WORD.findall(last), last]
    if not last or "+" in last or "@" in last or any(map(_nearest, words)):
        return False
    return not _LETTERS.fullmatch(last) or (len(last) >= MIN_KEY_LENGTH and has_entropy(last))


def _nearest(word: str) -> KeyScope | None:
    found = difflib.get_close_matches(word.lower(), SCOPES, 1, _ALIKE)
    return next((scope for scope in SCOPES if scope in found), None)


def _parse_scopes(name: str, text: str) -> frozenset[KeyScope]:
    scopes: set[KeyScope] = set()
    for word in (part.strip() for part in text.split("+")):
        known = next((scope for scope in SCOPES if scope == word), None)
        if known is None:
            meant = _nearest(word)
            advice = f"did you mean `{meant}`?" if meant else f"the scopes are {_ALL}"
            raise ValueError(
                f"gives the key {name[:64]!r} a scope that does not exist: {advice} (If the last"
                " colon belongs to the key, make a key without one.)"
            )
        scopes |= INCLUDED[known]
    return frozenset(scopes)


def _parse_accounts(key: ApiKey, text: str) -> frozenset[str]:
    accounts = [part.strip() for part in text.split("+")]
    if not all(map(_ACCOUNT.fullmatch, accounts)):
        raise ValueError(
            f"binds the key {key.name[:64]!r} to something that is no account's name: write"
            " name:key:scope@account, with `+` between accounts"
        )
    if key.may("admin"):
        raise ValueError(
            f"binds the key {key.name[:64]!r} to accounts, but its scope `admin` is about all of"
            " them: leave out one of both"
        )
    return frozenset(accounts)


def _checked(key: ApiKey) -> ApiKey:
    if not key.name or not KEY_FORM.fullmatch(key.secret):
        raise ValueError(
            "must be name:key or name:key:scope+scope, comma-separated, each key of"
            f" {MIN_KEY_LENGTH} or more ASCII characters without spaces; {REMEDY}"
        )
    if not has_entropy(key.secret):
        raise ValueError(f"has a key, that of {key.name[:64]!r}, which {GUESSABLE}")
    return key


def _check_others(key: ApiKey, others: Sequence[ApiKey]) -> None:
    """Check that a key is one of its own, and a second one of a name may do the same."""
    for other in others:
        if key.secret == other.secret:
            raise ValueError(f"has the same key twice, for {key.name[:64]!r} again; {REMEDY}")
        if key.name == other.name and replace(key, secret="") != replace(other, secret=""):
            raise ValueError(
                f"names {key.name[:64]!r} twice, with other scopes or accounts: give each a name"
            )
