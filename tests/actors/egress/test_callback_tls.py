"""Callback attempts over TLS, with real servers."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest

from actors.egress.callback_client import CallbackClient, CallbackLimits
from actors.egress.guarded_connections import GuardedBackend
from service.deliveries.attempt_results import MAX_BODY_BYTES, AttemptResult
from tests.support.callback_client import BODY, LOOPBACK, Run
from tests.support.certificate_authority import Authority
from tests.support.misbehaving_servers import (
    Behaviour,
    Conversation,
    MisbehavingServer,
    answers,
    gzip_bomb,
    hangs_at_once,
    repeats,
    serve,
)


async def attempt_tls(
    tls: ssl.SSLContext, trusted: Path | None, behaviour: Behaviour | None = None
) -> tuple[AttemptResult, MisbehavingServer]:
    async def literal(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    backend = GuardedBackend(LOOPBACK, literal)
    bundle = str(trusted) if trusted else None
    async with (
        serve(behaviour or answers(200), tls=tls) as server,
        CallbackClient(backend, version="1", ca_bundle=bundle) as client,
    ):
        return await client.post(server.url("callbacks.example"), {}, BODY), server


def test_tls_keeps_the_host_name_while_an_address_is_dialled(run: Run, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = authority.server_context("callbacks.example")
    asked: list[str | None] = []
    context.sni_callback = lambda _, name, __: asked.append(name)

    result, server = run(attempt_tls(context, authority.bundle))

    assert result.outcome == "delivered"
    assert asked == ["callbacks.example"]
    assert b"host: callbacks.example:%d\r\n" % server.port in server.requests[0]


def test_a_certificate_for_another_name_is_rejected(run: Run, tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    result, server = run(attempt_tls(authority.server_context("evil.example"), authority.bundle))

    assert (result.outcome, result.code) == ("retry", "tls_failed")
    assert server.requests == []


def test_a_certificate_for_the_dialled_address_is_rejected(run: Run, tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    result, _ = run(attempt_tls(authority.server_context("127.0.0.1"), authority.bundle))

    assert result.code == "tls_failed"


def test_an_unknown_authority_is_rejected(run: Run, tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    result, server = run(attempt_tls(authority.server_context("callbacks.example"), None))

    assert (result.outcome, result.code) == ("retry", "tls_failed")
    assert server.requests == []


def test_a_server_that_requires_a_client_certificate_is_a_tls_failure(
    run: Run, tmp_path: Path
) -> None:
    # Given a server that rejects after the handshake, as in TLS 1.3
    authority = Authority(tmp_path)
    context = authority.server_context("127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.bundle)

    async def scenario(listener: socket.socket) -> AttemptResult:
        refusing = asyncio.create_task(asyncio.to_thread(refuse_handshake, listener, context))
        backend = GuardedBackend(LOOPBACK)
        async with CallbackClient(backend, version="1", ca_bundle=str(authority.bundle)) as client:
            port = listener.getsockname()[1]
            result = await client.post(f"https://127.0.0.1:{port}/", {}, BODY)
        await refusing
        return result

    # When / Then
    with socket.create_server(("127.0.0.1", 0)) as listener:
        result = run(scenario(listener))
    assert (result.outcome, result.code) == ("retry", "tls_failed")


async def speaks_plain_http(conversation: Conversation) -> None:
    await conversation.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize(
    ("behaviour", "code"), [(hangs_at_once, "timeout"), (speaks_plain_http, "tls_failed")]
)
def test_a_server_without_tls_is_no_delivery(run: Run, behaviour: Behaviour, code: str) -> None:
    async def scenario() -> AttemptResult:
        backend = GuardedBackend(LOOPBACK)
        limits = CallbackLimits(connect_seconds=0.5)
        async with (
            serve(behaviour) as server,
            CallbackClient(backend, version="1", limits=limits) as client,
        ):
            return await client.post(f"https://127.0.0.1:{server.port}/", {}, BODY)

    assert run(scenario()).code == code


def test_an_attempt_canceled_in_the_handshake_closes_its_connection(run: Run) -> None:
    async def scenario() -> None:
        backend = GuardedBackend(LOOPBACK)
        async with serve(hangs_at_once) as server, CallbackClient(backend, version="1") as client:
            url = f"https://127.0.0.1:{server.port}/"
            task = asyncio.create_task(client.post(url, {}, BODY))
            await asyncio.wait_for(server.accepted.wait(), 5)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await asyncio.wait_for(server.hung_up.wait(), 5)

    run(scenario())


def test_a_large_response_over_tls_is_captured_like_any_other(run: Run, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = authority.server_context("callbacks.example")

    result, _ = run(attempt_tls(context, authority.bundle, gzip_bomb()))

    assert result.outcome == "delivered"
    assert len(result.body.encode()) <= MAX_BODY_BYTES


def test_endless_1xx_responses_over_tls_are_cut_off_like_any_other(
    run: Run, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    context = authority.server_context("callbacks.example")
    endless = repeats(b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 200)

    result, server = run(attempt_tls(context, authority.bundle, endless))

    assert (result.outcome, result.code) == ("retry", "protocol_error")
    assert server.bytes_sent < 1024 * 1024


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_unreadable_ca_bundle_fails_at_boot(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)

    with pytest.raises(ValueError, match="CA bundle"):
        CallbackClient(GuardedBackend(LOOPBACK), version="1", ca_bundle=str(path))


def refuse_handshake(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Accept once and reject with an alert; asyncio's own server would just hang up."""
    listener.settimeout(5)
    connection, _ = listener.accept()
    connection.settimeout(5)
    with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as tls:
        with pytest.raises(ssl.SSLError):
            tls.do_handshake()
        while socket.socket.recv(tls, 65536):  # Unread bytes would turn the close into a reset.
            pass
