"""Where a callback attempt connects, and where it must not."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from actors.egress.callback_client import CallbackClient
from actors.egress.guarded_connections import GuardedBackend
from service.deliveries.attempt_results import AttemptResult
from service.network.ip_filter import IpFilter
from tests.support.callback_client import BODY, LOOPBACK, Run, attempt, make_client
from tests.support.misbehaving_servers import (
    MisbehavingServer,
    answers,
    serve,
)


def test_a_closed_port_is_a_refusal(run: Run) -> None:
    async def scenario() -> AttemptResult:
        async with serve(answers(200)) as server:
            url = server.url()
        async with make_client() as client:
            return await client.post(url, {}, BODY)

    result = run(scenario())
    assert (result.outcome, result.code) == ("retry", "connection_refused")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(run: Run, status: int) -> None:
    async def scenario() -> tuple[AttemptResult, MisbehavingServer]:
        async with (
            serve(answers(200)) as target,
            serve(answers(status, location=target.url())) as server,
            make_client() as client,
        ):
            return await client.post(server.url(), {}, BODY), target

    result, target = run(scenario())
    assert (result.outcome, result.code, result.status) == ("retry", "redirect", status)
    assert target.connections == 0


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0", "[::1]", "[::ffff:127.0.0.1]"],
)
def test_this_machine_is_never_called(run: Run, host: str) -> None:
    async def scenario() -> tuple[AttemptResult, MisbehavingServer]:
        async with serve(answers(200)) as server, make_client(IpFilter()) as client:
            return await client.post(server.url(host), {}, BODY), server

    result, server = run(scenario())
    assert (result.outcome, result.code) == ("final", "blocked_address")
    assert server.connections == 0
    assert host not in result.message
    assert "127" not in result.message


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "https://u:p@127.0.0.1/", "gopher://a/", ""])
def test_an_unusable_url_is_final(run: Run, url: str) -> None:
    async def scenario() -> AttemptResult:
        async with CallbackClient(GuardedBackend(LOOPBACK), version="1") as client:
            return await client.post(url, {}, BODY)

    result = run(scenario())
    assert (result.outcome, result.code) == ("final", "invalid_url")


def test_proxies_of_the_environment_are_ignored(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    result, _ = run(attempt(answers(200)))

    assert result.outcome == "delivered"


def test_an_attempt_without_a_free_file_descriptor_does_not_count(run: Run) -> None:
    async def literal(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async def scenario() -> AttemptResult:
        backend = GuardedBackend(LOOPBACK, literal)
        async with CallbackClient(backend, version="1", allow_http=True) as client:
            with no_more_files():
                return await client.post("http://callbacks.example/", {}, BODY)

    result = run(scenario())
    assert (result.outcome, result.code) == ("not_counted", "local_resources")


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let the process open no further file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
