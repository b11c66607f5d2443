"""One [accounts] table per Instagram account: a second would mean another device and queue."""

from __future__ import annotations

from collections.abc import Mapping


def check_usernames(usernames: Mapping[str, str]) -> None:
    """Check that no two accounts share a username.

    Parameters:
      usernames: By the name of the account in the configuration.

    Raises:
      ValueError: Two are equal, apart from case and a leading `@`; the message names both tables.
    """
    owners: dict[str, str] = {}
    for name, username in usernames.items():
        first = owners.setdefault(username.strip().removeprefix("@").casefold(), name)
        if first != name:
            raise ValueError(
                f"accounts.{name}.username: accounts.{first} is the same Instagram account; keep"
                " one of them"
            )
