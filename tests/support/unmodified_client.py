"""The unmodified aiograpi client against a stand-in, without its human pace.

Kept apart from the `standin` fixture: importing aiograpi changes httpx for the whole process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiograpi import Client

from deploy.local.instagram.client import StandIn
from deploy.local.instagram.state import SHOP_PASSWORD


class HurriedClient(Client):  # type: ignore[misc, unused-ignore]
    """aiograpi's client, but for the pause between two calls."""

    async def small_delay(self) -> None:
        """Do not wait."""


@asynccontextmanager
async def client_for(
    standin: StandIn, *, proxy_url: str | None = None, ca_path: Path | None = None
) -> AsyncIterator[Any]:
    """A client that has not logged in; its connections are closed afterwards."""
    client = HurriedClient(
        proxy=proxy_url or standin.proxy_url,
        tls_verify=str(ca_path or standin.ca_path),
        request_timeout=0,
    )
    async with client.private, client.public, client.graphql:
        yield client


@asynccontextmanager
async def shop_client(standin: StandIn) -> AsyncIterator[Any]:
    """A client logged in as the shop."""
    async with client_for(standin) as client:
        await client.login("shop", SHOP_PASSWORD)
        yield client
