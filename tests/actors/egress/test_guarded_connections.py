"""The network backend: one lookup, every address checked, a literal dialled, the peer checked."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpcore
import pytest

from actors.egress.dns import CoalescingResolver, resolve
from actors.egress.guarded_connections import EgressError, GuardedBackend
from service.network.ip_filter import IpFilter, parse_cidrs
from tests.support.misbehaving_servers import hangs_at_once, serve

LOOPBACK = IpFilter(parse_cidrs("127.0.0.0/8"))


class ScriptedResolver:
    """A resolver that returns prepared answers, one after the other, and counts the calls."""

    def __init__(self, *answers: Sequence[str] | Exception) -> None:
        self._answers = list(answers)
        self.calls = 0

    async def __call__(self, _host: str, _port: int) -> Sequence[str]:
        self.calls += 1
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def connect(backend: GuardedBackend, *, timeout: float = 3.0) -> tuple[str | None, int]:
    """Dial a listening server by name: the error's code or None, and the connections made."""

    async def scenario() -> tuple[str | None, int]:
        async with serve(hangs_at_once) as server:
            try:
                stream = await backend.connect_tcp("callbacks.example", server.port, timeout)
            except EgressError as error:
                return error.code, server.connections
            await stream.aclose()
            await asyncio.wait_for(server.hung_up.wait(), 5)
            return None, server.connections

    return asyncio.run(scenario())


def test_an_allowed_address_is_dialled_after_a_single_lookup() -> None:
    # Given a name whose second lookup returns an internal address
    resolver = ScriptedResolver(["127.0.0.1"], ["169.254.169.254"])

    # When
    assert connect(GuardedBackend(LOOPBACK, resolver)) == (None, 1)

    # Then
    assert resolver.calls == 1


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["1.1.1.1", "127.0.0.1"],
        ["127.0.0.1", "1.1.1.1"],
        ["::1"],
        ["2606:4700:4700::1111", "::ffff:127.0.0.1"],
    ],
)
def test_a_name_with_any_blocked_address_is_not_dialled(addresses: list[str]) -> None:
    backend = GuardedBackend(IpFilter(), ScriptedResolver(addresses))

    assert connect(backend) == ("blocked_address", 0)


def test_the_peer_is_checked_after_dialling() -> None:
    # Given an address for which the kernel connects to another one
    backend = GuardedBackend(IpFilter(parse_cidrs("0.0.0.0/32")), ScriptedResolver(["0.0.0.0"]))

    # When / Then
    assert connect(backend)[0] == "blocked_address"


@pytest.mark.parametrize(
    "answer", [socket.gaierror(socket.EAI_NONAME, "unknown"), UnicodeError("label too long"), []]
)
def test_a_name_without_an_address_is_a_dns_failure(answer: Sequence[str] | Exception) -> None:
    assert connect(GuardedBackend(LOOPBACK, ScriptedResolver(answer))) == ("dns_failed", 0)


def test_the_next_address_is_tried_when_one_refuses() -> None:
    backend = GuardedBackend(LOOPBACK, ScriptedResolver(["127.0.0.2", "127.0.0.1"]))

    assert connect(backend) == (None, 1)


def test_an_unresponsive_address_leaves_time_for_the_next() -> None:
    with unresponsive_address() as (address, port):

        async def scenario() -> None:
            server = await asyncio.start_server(lambda _, w: w.close(), "127.0.0.1", port)
            backend = GuardedBackend(LOOPBACK, ScriptedResolver([address, "127.0.0.1"]))
            stream = await backend.connect_tcp("callbacks.example", port, 2.0)
            assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"
            await stream.aclose()
            server.close()
            await server.wait_closed()

        asyncio.run(scenario())


def test_dialling_an_unresponsive_address_is_bounded_in_time() -> None:
    with unresponsive_address() as (address, port):

        async def scenario() -> None:
            backend = GuardedBackend(LOOPBACK, ScriptedResolver([address]))
            with pytest.raises(httpcore.ConnectTimeout):
                await backend.connect_tcp("callbacks.example", port, 0.2)

        asyncio.run(scenario())


def test_the_kernel_buffers_little_unread_data() -> None:
    async def scenario() -> int:
        backend = GuardedBackend(LOOPBACK, ScriptedResolver(["127.0.0.1"]))
        async with serve(hangs_at_once) as server:
            stream = await backend.connect_tcp("callbacks.example", server.port, 3.0)
            sock = stream.get_extra_info("socket")
            size: int = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
            await stream.aclose()
            return size

    assert asyncio.run(scenario()) <= 64 * 1024  # Linux doubles it, for its bookkeeping.


def test_a_closed_port_has_a_code_of_its_own() -> None:
    async def scenario() -> str:
        backend = GuardedBackend(LOOPBACK, ScriptedResolver(["127.0.0.2"]))
        async with serve(hangs_at_once) as server:
            with pytest.raises(EgressError) as refusal:
                await backend.connect_tcp("callbacks.example", server.port, 3.0)
            return refusal.value.code

    assert asyncio.run(scenario()) == "connection_refused"


def test_the_connect_timeout_covers_the_lookup() -> None:
    async def scenario() -> None:
        never = asyncio.Event()

        async def silent(host: str, port: int) -> Sequence[str]:
            await never.wait()
            return []

        with pytest.raises(httpcore.ConnectTimeout):
            await GuardedBackend(LOOPBACK, silent).connect_tcp("callbacks.example", 1, 0.05)

    asyncio.run(scenario())


def test_concurrent_lookups_of_a_name_share_one() -> None:
    async def scenario() -> tuple[int, list[Sequence[str]]]:
        answered = asyncio.Event()
        asked = 0

        async def slow(host: str, port: int) -> Sequence[str]:
            nonlocal asked
            asked += 1
            await answered.wait()
            return ["127.0.0.1"]

        lookups = CoalescingResolver(slow)
        # Given a caller that has given up
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(lookups.addresses("callbacks.example", 1), 0.01)
        # When others call before the lookup ends
        waiting = [asyncio.create_task(lookups.addresses("callbacks.example", 1)) for _ in "ab"]
        await asyncio.sleep(0)
        answered.set()
        found = await asyncio.gather(*waiting)
        # Then a later one starts another lookup
        assert await lookups.addresses("callbacks.example", 1) == ["127.0.0.1"]
        return asked, found

    assert asyncio.run(scenario()) == (2, [["127.0.0.1"], ["127.0.0.1"]])


def test_a_failed_lookup_that_nobody_awaits_is_not_logged() -> None:
    async def scenario() -> list[object]:
        complaints: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, c: complaints.append(c))
        fail = asyncio.Event()

        async def failing(host: str, port: int) -> Sequence[str]:
            await fail.wait()
            raise OSError("no such name")

        lookups = CoalescingResolver(failing)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(lookups.addresses("callbacks.example", 1), 0.01)
        fail.set()
        with pytest.raises(OSError, match="no such name"):
            await lookups.addresses("callbacks.example", 1)
        return complaints

    assert asyncio.run(scenario()) == []


@pytest.mark.parametrize("spelling", ["127.0.0.1", "127.1", "2130706433", "0x7f.1"])
def test_the_system_resolver_understands_every_spelling(spelling: str) -> None:
    assert asyncio.run(resolve(spelling, 80)) == ["127.0.0.1"]


def test_the_system_resolver_repeats_no_address() -> None:
    found = asyncio.run(resolve("localhost", 80))

    assert found
    assert len(found) == len(set(found))


def test_the_backend_sleeps() -> None:
    async def scenario() -> float:
        loop = asyncio.get_running_loop()
        started = loop.time()
        await GuardedBackend(LOOPBACK).sleep(0.02)
        return loop.time() - started

    assert asyncio.run(scenario()) >= 0.019


@contextmanager
def unresponsive_address() -> Iterator[tuple[str, int]]:
    """An address whose accept queue is full: Linux drops the SYN, and no reply ever comes."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.2", 0))
        listener.listen(0)
        address, port = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex((address, port))
        yield address, port
        for filler in fillers:
            filler.close()
