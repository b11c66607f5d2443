"""The scripted gateway of the tests beside the real one at the fake Instagram.

Tests of attempts rely on the script, so it may say nothing that the real gateway does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import pytest
import redis

from actors.instagram.client_pool import GatewayPool
from actors.instagram.errors import UnknownAccount, classify
from deploy.local.instagram.client import FakeInstagram
from tests.support.gateway import GatewayHarness
from tests.support.scripted_gateway import (
    REFUSALS,
    NoAccounts,
    ScriptedGateway,
    lost_reply,
    no_connection,
    proxy_refused,
    refusal,
)
from tests.support.session_store import open_session_store

NAME, TEXT, TOKEN = "jenny.rosen", "Thank you!", "job_x:1"
#: How long the real gateway waits for a reply that is lost.
PATIENCE_SECONDS = 6.0

Steps = Callable[[Any], Awaitable[Any]]


class Side(Protocol):
    """One of the two gateways, and what can be done to its Instagram."""

    def run(self, steps: Steps, **options: Any) -> Any:
        """Run steps on the gateway; the options are the real one's."""

    def lose_the_reply(self) -> None:
        """The next DM arrives, and its reply does not."""

    def lose_the_dm(self) -> None:
        """The next DM does not arrive."""

    def refuse(self, name: str) -> None:
        """Refuse the next DM, search, profile and login in this way."""


class Scripted:
    """The scripted gateway."""

    def __init__(self) -> None:
        self.gateway = ScriptedGateway()

    def run(self, steps: Steps, **_options: Any) -> Any:
        async def acquired() -> Any:
            with self.gateway.acquire("shop") as gateway:
                return await steps(gateway)

        return asyncio.run(acquired())

    def lose_the_reply(self) -> None:
        self.gateway.sends = [lost_reply()]

    def lose_the_dm(self) -> None:
        self.gateway.arrives = False
        self.lose_the_reply()

    def refuse(self, name: str) -> None:
        self.gateway.arrives = False
        self.gateway.sends, self.gateway.searches = [refusal(name)], [refusal(name)]
        self.gateway.reads, self.gateway.logins = [refusal(name)], [refusal(name)]


class Real:
    """The real gateway at the fake Instagram."""

    def __init__(self, fake_instagram: FakeInstagram, store_url: str) -> None:
        self.fake_instagram = fake_instagram
        self.harness = GatewayHarness(fake_instagram, store_url)

    def run(self, steps: Steps, **options: Any) -> Any:
        return self.harness.run(steps, **options)

    def lose_the_reply(self) -> None:
        self.fake_instagram.fault("broadcast_text", delay_after_effect_seconds=60)

    def lose_the_dm(self) -> None:
        self.fake_instagram.fault("broadcast_text", "hang")

    def refuse(self, name: str) -> None:
        for call in ("broadcast_text", "get_by_participants", "usernameinfo"):
            self.fake_instagram.fault(call, error=name)


@pytest.fixture(params=["scripted", "real"])
def side(
    request: pytest.FixtureRequest,
    fake_instagram: FakeInstagram,
    store: redis.Redis,
    store_url: str,
) -> Side:
    assert store.dbsize() == 0
    return Scripted() if request.param == "scripted" else Real(fake_instagram, store_url)


async def pk_of(gateway: Any) -> str:
    await gateway.ensure_login()
    pk: str = (await gateway.resolve(NAME)).pk
    gateway.take_reads()
    return pk


async def find(gateway: Any, pk: str) -> Any:
    return await gateway.find_dm(pk, TOKEN, TEXT, 0)


async def error_of(call: Awaitable[Any]) -> Exception:
    try:
        await call
    except Exception as error:  # noqa: BLE001 - both raise errors of their own
        return error
    pytest.fail("nothing was raised")


def test_a_recipient_has_a_pk_and_the_name(side: Side) -> None:
    async def steps(gateway: Any) -> None:
        recipient = await gateway.resolve(NAME)
        assert (recipient.pk.isdigit(), recipient.username) == (True, NAME)
        profile = await gateway.profile(NAME)
        assert (profile["pk"], profile["username"]) == (recipient.pk, NAME)

    side.run(steps)


def test_a_dm_has_a_receipt_by_its_token_and_is_found_by_it(side: Side) -> None:
    async def steps(gateway: Any) -> None:
        pk = await pk_of(gateway)
        assert (await gateway.has_thread(pk), await find(gateway, pk)) == (False, None)
        receipt = await gateway.send_dm(pk, TEXT, TOKEN)
        assert (receipt.by_token, len(receipt.client_context)) == (True, 19)
        assert await find(gateway, pk) == receipt
        assert await gateway.find_dm(pk, receipt.client_context, TEXT, 0) is not None
        assert await gateway.find_dm(pk, "job_y:1", "another text", 0) is None
        assert await gateway.has_thread(pk)

    side.run(steps)


@pytest.mark.parametrize("arrives", [True, False])
def test_a_dm_without_a_reply_is_unconfirmed_until_it_is_looked_for(
    side: Side, arrives: bool
) -> None:
    pk = side.run(pk_of)
    if arrives:
        side.lose_the_reply()
    else:
        side.lose_the_dm()

    async def send(gateway: Any) -> Exception:
        return await error_of(gateway.send_dm(pk, TEXT, TOKEN))

    decision = classify(side.run(send, call_seconds=PATIENCE_SECONDS), writing=True)
    assert decision == classify(lost_reply(), writing=True)
    assert decision.ambiguous
    found = side.run(lambda gateway: find(gateway, pk))
    assert (found is not None) is arrives


def test_reads_are_counted_and_taken_once(side: Side) -> None:
    async def steps(gateway: Any) -> list[int]:
        counts = []
        for read in (
            gateway.ensure_login,
            lambda: gateway.resolve(NAME),
            lambda: gateway.profile(NAME),
            lambda: gateway.has_thread("1"),
            lambda: find(gateway, "1"),
            lambda: gateway.send_dm("314159", TEXT, TOKEN),
        ):
            await read()
            counts.append(gateway.take_reads())
        return [*counts, gateway.take_reads()]

    # A DM is no read, and neither are the requests of a login
    if isinstance(side, Real):
        side.fake_instagram.add_user("somebody", pk=314159)
        side.run(pk_of)
    assert side.run(steps) == [0, 1, 1, 1, 1, 0, 0]


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize("call", ["send", "search", "read"])
def test_a_refusal_means_the_same(side: Side, name: str, call: str) -> None:
    async def steps(gateway: Any) -> None:
        pk = await pk_of(gateway)
        side.refuse(name)
        calls: dict[str, Callable[[], Awaitable[Any]]] = {
            "send": lambda: gateway.send_dm(pk, TEXT, TOKEN),
            "search": lambda: find(gateway, pk),
            "read": lambda: gateway.profile(NAME),
        }
        decision = classify(await error_of(calls[call]()), writing=call == "send")
        expected = classify(refusal(name), writing=call == "send")
        assert (decision.outcome, decision.code) == (expected.outcome, expected.code)
        assert not decision.ambiguous
        assert (decision.cooldown_seconds, decision.tries) == (
            expected.cooldown_seconds,
            expected.tries,
        )

    side.run(steps)


@pytest.mark.parametrize("writing", [True, False], ids=["write", "read"])
def test_without_a_connection_nothing_was_sent(
    fake_instagram: FakeInstagram, store: redis.Redis, store_url: str, writing: bool
) -> None:
    harness = GatewayHarness(fake_instagram, store_url)
    pk: str = harness.run(pk_of)

    async def steps(gateway: Any) -> Exception:
        return await error_of(gateway.send_dm(pk, TEXT, TOKEN) if writing else find(gateway, pk))

    # Given no proxy, and one that does not accept the password
    no_proxy = harness.run(steps, harness.account(proxy="http://127.0.0.1:1"))
    fake_instagram.proxy_fault("407")
    refused = harness.run(steps)

    # Then
    assert classify(no_proxy, writing=writing) == classify(no_connection(), writing=writing)
    assert classify(refused, writing=writing) == classify(proxy_refused(), writing=writing)
    assert fake_instagram.dms() == []


@pytest.mark.parametrize("kind", ["scripted", "real"])
def test_an_account_that_is_not_configured_is_refused_before_any_use(
    kind: str, store_url: str
) -> None:
    async def acquire() -> None:
        async with open_session_store(store_url) as (sessions, _):
            accounts: Any = NoAccounts() if kind == "scripted" else GatewayPool({}, sessions)
            with pytest.raises(UnknownAccount):
                accounts.acquire("shop")

    asyncio.run(acquire())
