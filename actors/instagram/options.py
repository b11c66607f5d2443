"""What the client of one account is made from."""

from __future__ import annotations

from dataclasses import dataclass, field


class UnknownAccount(LookupError):
    """No account of this name is configured in this process."""


@dataclass(frozen=True)
class ClientOptions:
    """How a client reaches Instagram.

    Parameters:
      proxy: URL that everything goes through; None for a direct way, whatever the environment says.
      ca_bundle: Path of the certificates to trust instead of the usual ones.
      human_pace: Whether the client library's own sleeps stay.
    """

    proxy: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    human_pace: bool = True


@dataclass(frozen=True)
class AccountOptions:
    """An account, as configured.

    Parameters:
      name: Its name in the configuration.
      username: What it logs in as.
      password: What it logs in with.
      totp_seed: Seed of its second factor; None when it has none.
      proxy: As `ClientOptions`.
      ca_bundle: As `ClientOptions`.
      human_pace: As `ClientOptions`.
    """

    name: str
    username: str
    password: str = field(repr=False)
    totp_seed: str | None = field(default=None, repr=False)
    proxy: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    human_pace: bool = True

    @property
    def client(self) -> ClientOptions:
        """The part that is about the way to Instagram."""
        return ClientOptions(self.proxy, self.ca_bundle, self.human_pace)
