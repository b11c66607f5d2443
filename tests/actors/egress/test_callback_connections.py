"""Limits per origin, and the reuse of connections, of callback attempts."""

from __future__ import annotations

import asyncio

import pytest

from actors.egress.callback_client import CallbackLimits
from service.deliveries.attempt_results import AttemptResult
from tests.support.callback_client import BODY, Run, make_client
from tests.support.misbehaving_servers import (
    OK,
    Conversation,
    MisbehavingServer,
    answers,
    answers_after,
    hangs_before_headers,
    serve,
)


def test_at_most_four_attempts_are_in_flight_per_origin(run: Run) -> None:
    async def scenario() -> tuple[list[AttemptResult], MisbehavingServer]:
        release = asyncio.Event()

        async def waits(conversation: Conversation) -> None:
            await conversation.read_request()
            if conversation.server.in_flight == 4:
                release.set()
            await release.wait()
            await conversation.send(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")

        async with serve(waits) as server, make_client() as client:
            posts = [client.post(server.url(path=f"/{n}"), {}, BODY) for n in range(9)]
            return await asyncio.gather(*posts), server

    results, server = run(scenario())
    assert [result.outcome for result in results] == ["delivered"] * 9
    assert server.peak_in_flight == 4


def test_the_duration_of_an_attempt_excludes_the_wait_for_its_origin(run: Run) -> None:
    async def scenario() -> list[AttemptResult]:
        limits = CallbackLimits(total_seconds=1.0, per_origin=1, wait_seconds=30)
        async with serve(answers_after(0.4)) as server, make_client(limits=limits) as client:
            return await asyncio.gather(*(client.post(server.url(), {}, BODY) for _ in range(3)))

    results = run(scenario())
    assert [result.outcome for result in results] == ["delivered"] * 3
    assert max(result.duration_ms for result in results) < 1000


def test_an_attempt_is_signed_after_the_wait_for_its_origin(run: Run) -> None:
    async def scenario() -> list[int]:
        answered: list[int] = []

        def counts() -> dict[str, str]:
            answered.append(len(server.requests))
            return {}

        limits = CallbackLimits(per_origin=1)
        async with serve(answers(200)) as server, make_client(limits=limits) as client:
            await asyncio.gather(*(client.post(server.url(), counts, BODY) for _ in range(3)))
        return answered

    assert run(scenario()) == [0, 1, 2]


def test_a_hanging_origin_does_not_delay_another(run: Run) -> None:
    async def scenario() -> AttemptResult:
        async with (
            serve(hangs_before_headers) as dead,
            serve(answers(200)) as alive,
            make_client() as client,
        ):
            stuck = [asyncio.create_task(client.post(dead.url(), {}, BODY)) for _ in range(8)]
            await asyncio.sleep(0)
            result = await client.post(alive.url(), {}, BODY)
            for task in stuck:
                task.cancel()
            await asyncio.gather(*stuck, return_exceptions=True)
            return result

    assert run(scenario()).outcome == "delivered"


def test_attempts_that_would_wait_too_long_for_an_origin_are_rejected(run: Run) -> None:
    async def scenario() -> tuple[list[AttemptResult], MisbehavingServer]:
        limits = CallbackLimits(initial_waiting=3, wait_seconds=0.1)
        async with serve(hangs_before_headers) as server, make_client(limits=limits) as client:
            posts = [asyncio.create_task(client.post(server.url(), {}, BODY)) for _ in range(9)]
            # Two are rejected at once, three wait in vain, four are in flight.
            done: list[AttemptResult] = []
            for post in asyncio.as_completed(posts):
                done.append(await post)
                if len(done) == 5:
                    break
            for task in posts:
                task.cancel()
            await asyncio.gather(*posts, return_exceptions=True)
            return done, server

    done, server = run(scenario())
    assert {(result.outcome, result.code) for result in done} == {("not_counted", "origin_busy")}
    assert server.connections == 4


def test_a_connection_whose_response_was_read_is_reused(run: Run) -> None:
    async def scenario() -> MisbehavingServer:
        async with serve(answers(200, b"ok")) as server, make_client() as client:
            for _ in range(3):
                await client.post(server.url(), {}, BODY)
            return server

    server = run(scenario())
    assert (len(server.requests), server.connections) == (3, 1)


def test_only_a_few_unused_connections_are_kept_open(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.egress.callback_client._MAX_IDLE_ORIGINS", 1)

    async def answers_and_listens(conversation: Conversation) -> None:
        await conversation.read_request()
        await conversation.send(OK + b"content-length: 0\r\n\r\n")
        await conversation.wait_for_hang_up()

    async def scenario() -> list[int]:
        async with (
            serve(answers_and_listens) as first,
            serve(answers_and_listens) as second,
            make_client() as client,
        ):
            await client.post(first.url(), {}, BODY)
            await client.post(second.url(), {}, BODY)
            await asyncio.wait_for(first.hung_up.wait(), 5)
            return [first.in_flight, second.in_flight]

    assert run(scenario()) == [0, 1]


def test_the_size_limit_is_per_response_not_per_connection(run: Run) -> None:
    async def scenario() -> MisbehavingServer:
        async with serve(answers(200, b"x" * 4000)) as server, make_client() as client:
            for _ in range(40):
                assert (await client.post(server.url(), {}, BODY)).outcome == "delivered"
            return server

    assert run(scenario()).connections == 1


def test_a_connection_whose_response_was_not_read_to_the_end_is_closed(run: Run) -> None:
    async def scenario() -> MisbehavingServer:
        async with serve(answers(200, b"x" * 50_000)) as server, make_client() as client:
            for _ in range(3):
                assert (await client.post(server.url(), {}, BODY)).outcome == "delivered"
            return server

    assert run(scenario()).connections == 3


def test_a_canceled_attempt_closes_its_connection_and_frees_its_slot(run: Run) -> None:
    async def scenario() -> AttemptResult:
        async def responds_to_the_second(conversation: Conversation) -> None:
            second = conversation.server.request_received.is_set()
            await conversation.read_request()
            await (conversation.send(OK + b"\r\n") if second else conversation.wait_for_hang_up())

        limits = CallbackLimits(per_origin=1)
        async with serve(responds_to_the_second) as server, make_client(limits=limits) as client:
            task = asyncio.create_task(client.post(server.url(), {}, BODY))
            await asyncio.wait_for(server.request_received.wait(), 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(server.hung_up.wait(), 5)
            return await client.post(server.url(), {}, BODY)

    assert run(scenario()).outcome == "delivered"
