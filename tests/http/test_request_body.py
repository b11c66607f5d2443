"""Reading a body within limits of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

from service.http.request_body import BodyRejected, read_body
from service.http.shared_timeout import SharedTimeout


def request(
    chunks: Iterable[bytes | None], headers: Mapping[str, str] | None = None
) -> tuple[Scope, Receive]:
    """A request whose body comes in chunks; None is a disconnect.

    After the last chunk nothing more comes, and no end either.
    """
    waiting = iter(chunks)

    async def receive() -> Message:
        chunk = next(waiting, b"never")
        if chunk == b"never":
            await asyncio.sleep(3600)
        if chunk is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunk, "more_body": chunk != b""}

    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    return {"type": "http", "method": "POST", "path": "/", "headers": raw}, receive


def read(
    chunks: Iterable[bytes | None], *, limit: int = 10, headers: Mapping[str, str] | None = None
) -> bytes:
    return asyncio.run(read_body(*request(chunks, headers), limit, SharedTimeout(0.05)))


def test_the_chunks_of_a_body_are_put_together() -> None:
    assert read([b"ab", b"cd", b""]) == b"abcd"


def test_a_body_of_exactly_the_limit_is_read() -> None:
    assert read([b"12345", b"67890", b""]) == b"1234567890"


def test_a_body_one_byte_above_the_limit_is_rejected_before_its_end() -> None:
    with pytest.raises(BodyRejected) as response:
        read([b"12345", b"67890", b"1"])
    assert (response.value.status, response.value.code) == (413, "body_too_large")


@pytest.mark.parametrize("declared", ["11", "99999999999999999999999999999999", "9" * 5000])
def test_a_declared_length_above_the_limit_is_rejected_unread(declared: str) -> None:
    with pytest.raises(BodyRejected) as response:
        read([], headers={"content-length": declared})
    assert response.value.status == 413


@pytest.mark.parametrize("declared", ["", "x", "-1", "10"])
def test_an_invalid_declared_length_is_ignored(declared: str) -> None:
    assert read([b"ab", b""], headers={"content-length": declared}) == b"ab"


def test_a_slow_body_is_rejected() -> None:
    with pytest.raises(BodyRejected) as response:
        read([b"ab"])
    assert (response.value.status, response.value.code) == (408, "slow_body")


@pytest.mark.parametrize("encoding", ["gzip", "identity, gzip", "GZIP", "br"])
def test_an_encoded_body_is_rejected(encoding: str) -> None:
    with pytest.raises(BodyRejected) as response:
        read([b"ab", b""], headers={"content-encoding": encoding})
    assert response.value.status == 415


@pytest.mark.parametrize("encoding", ["", "identity", " Identity "])
def test_no_encoding_is_accepted(encoding: str) -> None:
    assert read([b"ab", b""], headers={"content-encoding": encoding}) == b"ab"


def test_a_disconnected_sender_is_not_a_rejected_body() -> None:
    with pytest.raises(ClientDisconnect):
        read([b"ab", None])


def test_canceling_a_request_is_not_reported_as_slow() -> None:
    async def steps() -> None:
        reading = asyncio.ensure_future(read_body(*request([b"a"]), 10, SharedTimeout(3600)))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    asyncio.run(steps())


def test_each_request_has_its_own_deadline() -> None:
    async def steps() -> list[float]:
        loop, patience, late = asyncio.get_running_loop(), SharedTimeout(0.2), []

        async def read(*chunks: bytes) -> bytes:
            started = loop.time()
            try:
                return await read_body(*request(chunks), 10, patience)
            except BodyRejected:
                late.append(loop.time() - started)
                # The task continues as if nothing had happened.
                await asyncio.sleep(0)
                return b"late"

        first = asyncio.ensure_future(read(b"a"))
        await asyncio.sleep(0.1)
        others = [asyncio.ensure_future(read(*chunks)) for chunks in ((b"a",), (b"a", b""))]
        assert await asyncio.gather(first, *others) == [b"late", b"late", b"a"]
        assert await asyncio.ensure_future(read(b"a")) == b"late"
        return late

    late = asyncio.run(steps())
    assert len(late) == 3
    assert all(seconds >= 0.19 for seconds in late)
