"""The unmodified aiograpi client against a fake Instagram, without its human pace.

Kept apart from the `fake_instagram` fixture, because importing aiograpi changes httpx for the
whole process.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiograpi import Client

from deploy.local.instagram.client import FakeInstagram
from deploy.local.instagram.state import SHOP_PASSWORD


class HurriedClient(Client):  # type: ignore[misc, unused-ignore]
    """aiograpi's client without the pause between two calls."""

    async def small_delay(self) -> None:
        """Do not wait."""


@asynccontextmanager
async def client_for(
    fake_instagram: FakeInstagram, *, proxy_url: str | None = None, ca_path: Path | None = None
) -> AsyncIterator[Any]:
    """A client that is not logged in; its connections are closed at the end."""
    client = HurriedClient(
        proxy=proxy_url or fake_instagram.proxy_url,
        tls_verify=str(ca_path or fake_instagram.ca_path),
        request_timeout=0,
    )
    async with client.private, client.public, client.graphql:
        yield client


@asynccontextmanager
async def shop_client(fake_instagram: FakeInstagram) -> AsyncIterator[Any]:
    """A client logged in as the shop."""
    async with client_for(fake_instagram) as client:
        await client.login("shop", SHOP_PASSWORD)
        yield client
