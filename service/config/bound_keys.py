"""Finds API keys that are bound to accounts which nobody has configured. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from service.config.config import Config
from service.config.errors import suggestion
from service.credentials.api_keys import ApiKey


def bound_key_problems(keys: Iterable[ApiKey], config: Config) -> Iterator[str]:
    """Yield a sentence for each key whose accounts cannot be meant; it shows no key.

    Parameters:
      keys: All of API_KEYS.
      config: A valid configuration.
    """
    for key in keys:
        for account in sorted((key.accounts or frozenset()) - config.accounts.keys()):
            yield (
                f"API_KEYS binds the key {key.name[:64]!r} to {account!r}, which is no account:"
                f" {suggestion(account, config.accounts)}"
            )
        _, at, last = key.secret.rpartition("@")
        if at and last in config.accounts:
            yield (
                f"API_KEYS has '@{last}' at the end of the key of {key.name[:64]!r}: accounts"
                f" follow scopes, as in name:key:jobs+accounts@{last}"
            )
