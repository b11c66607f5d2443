"""Gateways to the fake Instagram."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from actors.instagram.gateway import Gateway
from actors.instagram.options import AccountOptions
from deploy.local.instagram.client import FakeInstagram
from service.accounts.session_store import StoredSession
from tests.support.session_store import open_session_store

PASSWORD = "shop-password"


@dataclass(frozen=True)
class GatewayHarness:
    """A fake Instagram, a store, and the gateways between them."""

    fake_instagram: FakeInstagram
    store_url: str

    def account(self, **changes: Any) -> AccountOptions:
        """The shop's account.

        Parameters:
          changes: Fields to change.
        """
        options: dict[str, Any] = {
            "name": "shop",
            "username": "shop",
            "password": PASSWORD,
            "proxy": self.fake_instagram.proxy_url,
            "ca_bundle": str(self.fake_instagram.ca_path),
            "human_pace": False,
        }
        return AccountOptions(**(options | changes))

    @asynccontextmanager
    async def gateway(
        self, account: AccountOptions | None = None, **options: Any
    ) -> AsyncIterator[Gateway]:
        """Open a gateway as a worker process of its own would."""
        async with open_session_store(self.store_url) as (sessions, _):
            gateway = Gateway(account or self.account(), sessions, **options)
            try:
                yield gateway
            finally:
                await gateway.close()

    def run(
        self,
        steps: Callable[[Gateway], Awaitable[Any]],
        account: AccountOptions | None = None,
        **options: Any,
    ) -> Any:
        """Run steps on a gateway that is opened for them; return their result."""

        async def opened() -> Any:
            async with self.gateway(account, **options) as gateway:
                return await steps(gateway)

        return asyncio.run(opened())

    def stored_session(self, account: str = "shop", username: str = "shop") -> StoredSession:
        """The session that is stored now."""

        async def load() -> StoredSession | None:
            async with open_session_store(self.store_url) as (sessions, _):
                return await sessions.load(account, username)

        session = asyncio.run(load())
        assert session is not None
        return session

    def login_outcomes(self) -> list[str]:
        """The outcome of each login, oldest first."""
        return [each["outcome"] for each in self.fake_instagram.logins()]


async def log_in(gateway: Gateway) -> None:
    """The steps that only log in."""
    await gateway.ensure_login()


def calls(harness: GatewayHarness) -> list[str]:
    """The names of all calls that the fake Instagram got, in order."""
    return [entry["call"] for entry in harness.fake_instagram.log()]


def password_logins(harness: GatewayHarness) -> int:
    """How many logins with a password there were."""
    return calls(harness).count("login")
