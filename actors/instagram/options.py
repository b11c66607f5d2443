"""Options from which an account's client is built."""

from __future__ import annotations

from dataclasses import dataclass, field


class UnknownAccount(LookupError):
    """No account of that name is configured in this process."""


@dataclass(frozen=True)
class ClientOptions:
    """How a client connects to Instagram.

    Parameters:
      proxy: Proxy URL for all traffic; None connects directly, whatever the environment says.
      ca_bundle: Path of a PEM file to trust instead of the default certificates.
      human_pace: Whether to keep the client library's own sleeps.
    """

    proxy: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    human_pace: bool = True


@dataclass(frozen=True)
class AccountOptions:
    """A configured account; `proxy`, `ca_bundle` and `human_pace` are as in `ClientOptions`.

    Parameters:
      name: Its name in the configuration.
      username: Its Instagram username.
      password: Its Instagram password.
      totp_seed: Base32 seed of its second factor, spaces allowed; None without one.
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
        """The options of its client."""
        return ClientOptions(self.proxy, self.ca_bundle, self.human_pace)
