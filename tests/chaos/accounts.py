"""The clusters' accounts beside `shop`: `extra-0`, `extra-1` and so on."""

from __future__ import annotations

from typing import Any


def extra_accounts(count: int, **changes: Any) -> dict[str, dict[str, Any]]:
    """Accounts for `usual_config`, by name.

    Parameters:
      count: How many.
      changes: More keys of each one's table.
    """
    names = [f"extra-{number}" for number in range(count)]
    return {name: {"username": username_of(name), **changes} for name in names}


def username_of(account: str) -> str:
    """An extra account's username at Instagram."""
    return account.replace("-", ".")
