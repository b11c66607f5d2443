"""The relay delays, stalls and cuts connections."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import redis

from tests.chaos.relay import Relay


@pytest.fixture
def relay(store_url: str) -> Iterator[Relay]:
    """A relay in front of a store."""
    with Relay(lambda: store_url) as running:
        yield running


@pytest.fixture
def client(relay: Relay, store_url: str) -> Iterator[redis.Redis]:
    """A connection through it."""
    with redis.Redis.from_url(relay.url(store_url), single_connection_client=True) as client:
        client.ping()
        yield client


def test_a_delay_applies_in_both_directions_and_ends(relay: Relay, client: redis.Redis) -> None:
    relay.delay(0.1)
    assert 0.2 <= _ping_seconds(client) < 1
    relay.delay(0)
    assert _ping_seconds(client) < 0.1


def test_one_connection_stalls_while_another_goes_on(
    relay: Relay, client: redis.Redis, store_url: str
) -> None:
    assert relay.stall_one(0, 0.5)
    with redis.Redis.from_url(relay.url(store_url)) as other:
        assert _ping_seconds(other) < 0.3
    assert _ping_seconds(client) > 0.1


def test_a_stall_can_be_cleared(relay: Relay, client: redis.Redis) -> None:
    relay.stall(60)
    relay.clear()
    assert _ping_seconds(client) < 1


def test_a_cut_reaches_the_client_and_a_new_connection_works(
    relay: Relay, client: redis.Redis, store_url: str
) -> None:
    assert relay.cut() == 1
    with redis.Redis.from_url(relay.url(store_url)) as other:
        assert other.ping()
    assert relay.connections <= 1


def test_an_unreachable_store_is_a_closed_connection() -> None:
    with (
        Relay(lambda: "redis://127.0.0.1:1/0") as relay,
        redis.Redis.from_url(relay.url("redis://127.0.0.1:1/0")) as client,
        pytest.raises(redis.ConnectionError),
    ):
        client.ping()


def _ping_seconds(client: redis.Redis) -> float:
    began = time.monotonic()
    client.ping()
    return time.monotonic() - began
