"""One [accounts] table per Instagram account: a second one would be a second device and line."""

from __future__ import annotations

from collections.abc import Mapping


def check_usernames(usernames: Mapping[str, str]) -> None:
    """Refuse two accounts with one username.

    Parameters:
      usernames: By the account's name in the configuration.

    Raises:
      ValueError: Two are the same; the message names both tables.
    """
    owners: dict[str, str] = {}
    for name, username in usernames.items():
        first = owners.setdefault(username.strip().removeprefix("@").casefold(), name)
        if first != name:
            raise ValueError(
                f"accounts.{name}.username: accounts.{first} is the same Instagram account; keep"
                " one of them"
            )
