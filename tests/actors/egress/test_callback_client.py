"""One callback attempt: requests and responses, with real servers that misbehave."""

from __future__ import annotations

import asyncio
import socket
import time
import tracemalloc
from email.utils import formatdate

import pytest
from standardwebhooks.webhooks import Webhook

from actors.egress.callback_client import CallbackLimits
from service.deliveries.attempt_results import MAX_BODY_BYTES, AttemptResult
from service.signatures import sign
from tests.support.callback_client import BODY, HASTY, Run, attempt, make_client
from tests.support.misbehaving_servers import (
    LINGER_ZERO,
    OK,
    Behaviour,
    MisbehavingServer,
    answers,
    gzip_bomb,
    hangs_before_headers,
    hangs_in_the_body,
    repeats,
    resets,
    resets_after_headers,
    sends,
    serve,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def signed() -> dict[str, str]:
    return sign.headers([SECRET], "dlv_1", int(time.time()), BODY)


def test_a_2xx_is_a_delivery(run: Run) -> None:
    result, server = run(attempt(answers(202, b"thank you")))

    assert (result.outcome, result.code, result.status) == ("delivered", "http_202", 202)
    assert result.body == "thank you"
    assert server.connections == 1


def test_what_arrives_verifies_with_the_official_library(run: Run) -> None:
    async def scenario() -> bytes:
        async with serve(answers(200)) as server, make_client() as client:
            await client.post(server.url(path="/hook?k=v"), signed, BODY)
            return server.requests[0]

    head, _, body = run(scenario()).partition(b"\r\n\r\n")
    request_line, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert request_line == "POST /hook?k=v HTTP/1.1"
    assert body == BODY
    Webhook(SECRET).verify(body, headers)


def test_headers_of_the_caller_cannot_change_how_long_the_body_is(run: Run) -> None:
    async def scenario() -> MisbehavingServer:
        async with serve(answers(200)) as server, make_client() as client:
            result = await client.post(server.url(), {"Content-Length": "3"}, BODY)
            assert result.outcome == "delivered"
            return server

    [request] = run(scenario()).requests
    assert request.endswith(BODY)
    assert request.lower().count(b"content-length:") == 1


def test_the_request_accepts_no_compression_and_names_heliograph(run: Run) -> None:
    _, server = run(attempt(answers(200)))

    head = server.requests[0].lower()
    assert b"\r\naccept-encoding: identity\r\n" in head
    assert b"\r\ncontent-type: application/json\r\n" in head
    assert b"\r\nuser-agent: heliograph/1.2.3\r\n" in head
    assert b"\r\nhost: 127.0.0.1:%d\r\n" % server.port in head
    assert head.count(b"content-length:") == 1


@pytest.mark.parametrize(
    "behaviour",
    [
        hangs_in_the_body,
        resets_after_headers,
        sends(OK + b"content-length: 100\r\n\r\nso far"),
        sends(OK + b"transfer-encoding: chunked\r\n\r\nnot a chunk size\r\n"),
        repeats(OK + b"content-length: 9999\r\n\r\n", b".", pause_seconds=0.02),
        repeats(OK + b"content-length: 99999999\r\n\r\n", b"." * 4096),
    ],
    ids=["hang", "reset", "missing", "broken chunks", "drip", "flood"],
)
def test_a_2xx_is_a_delivery_whatever_happens_to_its_body(run: Run, behaviour: Behaviour) -> None:
    started = time.monotonic()

    result, _ = run(attempt(behaviour, CallbackLimits(capture_seconds=0.2)))

    assert result.outcome == "delivered"
    assert time.monotonic() - started < 3


def test_the_start_of_a_dripping_body_is_captured_and_the_connection_closed(run: Run) -> None:
    async def scenario() -> AttemptResult:
        drip = repeats(OK + b"content-length: 9999\r\n\r\n", b".", pause_seconds=0.01)
        async with serve(drip) as server, make_client(limits=HASTY) as client:
            result = await client.post(server.url(), {}, BODY)
            await asyncio.wait_for(server.hung_up.wait(), 5)
            return result

    result = run(scenario())
    assert result.body
    assert set(result.body) == {"."}


def test_a_gzip_bomb_is_neither_inflated_nor_read_to_its_end(run: Run) -> None:
    async def scenario() -> tuple[AttemptResult, int, int]:
        async with serve(gzip_bomb()) as server, make_client() as client:
            # The first exchange of a process imports modules, which is not the bomb's memory.
            await client.post(server.url(), {}, BODY)
            await asyncio.wait_for(server.hung_up.wait(), 5)
            server.hung_up.clear()
            before = server.bytes_sent
            tracemalloc.start()
            result = await client.post(server.url(), {}, BODY)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            await asyncio.wait_for(server.hung_up.wait(), 5)
            return result, server.bytes_sent - before, peak

    result, sent, peak = run(scenario())
    assert result.outcome == "delivered"
    assert len(result.body.encode()) <= MAX_BODY_BYTES
    assert peak < 1024 * 1024
    assert sent < 160 * 1024


def test_a_body_is_captured_to_four_kibibytes(run: Run) -> None:
    result, _ = run(attempt(answers(500, b"e" * 50_000)))

    assert result.body == "e" * MAX_BODY_BYTES


def test_an_attempt_has_fifteen_seconds_and_its_body_one_of_them(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    granted: list[float] = []
    timeout_at = asyncio.timeout_at

    def recording(when: float) -> asyncio.Timeout:
        granted.append(when - asyncio.get_running_loop().time())
        return timeout_at(when)

    monkeypatch.setattr(asyncio, "timeout_at", recording)
    run(attempt(answers(200, b"thank you")))

    # The margin is for a slow machine
    whole, body = granted
    assert 10 < whole <= 15
    assert 0.1 < body <= 1


def test_a_body_is_not_read_beyond_the_time_of_the_whole_exchange(run: Run) -> None:
    started = time.monotonic()
    limits = CallbackLimits(total_seconds=0.5, capture_seconds=120)
    result, _ = run(attempt(hangs_in_the_body, limits))

    assert result.outcome == "delivered"
    assert time.monotonic() - started < 60


def test_a_server_that_never_answers_times_out(run: Run) -> None:
    result, _ = run(attempt(hangs_before_headers, HASTY))

    assert (result.outcome, result.code, result.status) == ("retry", "timeout", None)
    assert 400 <= result.duration_ms < 3000


@pytest.mark.parametrize(
    "behaviour",
    [
        repeats(OK, b"x-drip: 1\r\n", pause_seconds=0.02),
        repeats(b"", b"HTTP/1.1 100 Continue\r\n\r\n", pause_seconds=0.02),
    ],
    ids=["headers", "informational"],
)
def test_headers_that_never_end_time_out(run: Run, behaviour: Behaviour) -> None:
    result, _ = run(attempt(behaviour, HASTY))

    assert result.code == "timeout"
    assert result.duration_ms < 3000


@pytest.mark.parametrize(
    "behaviour",
    [
        sends(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
        sends(b"\x00\xff" * 512),
        sends(b"HTTP/1.1 2000 OK\r\n\r\n"),
        sends(OK + b"content-length: -1\r\n\r\n"),
        repeats(OK, b"x-bomb: " + b"b" * 4096 + b"\r\n"),
        repeats(OK + b"x-bomb: ", b"b" * 4096),
        repeats(b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 200),
    ],
    ids=["ssh", "binary", "status", "length", "header bomb", "endless header", "1xx flood"],
)
def test_a_response_that_is_not_http_is_a_protocol_error(run: Run, behaviour: Behaviour) -> None:
    result, server = run(attempt(behaviour))

    assert (result.outcome, result.code) == ("retry", "protocol_error")
    assert server.bytes_sent < 512 * 1024


@pytest.mark.parametrize(
    "behaviour",
    [resets, sends(b""), sends(OK + b"x: 1")],
    ids=["reset", "hang-up", "cut short"],
)
def test_a_connection_lost_before_the_response_is_a_reset(run: Run, behaviour: Behaviour) -> None:
    result, _ = run(attempt(behaviour))

    assert (result.outcome, result.code) == ("retry", "connection_reset")


def test_a_connection_that_is_reset_at_once_is_a_reset(run: Run) -> None:
    # Given a server fast enough to reset while the connection is being made (one in ten or so)
    async def scenario(listener: socket.socket) -> set[str]:
        resetting = asyncio.create_task(asyncio.to_thread(reset_connections, listener, 60))
        async with make_client() as client:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            results = [await client.post(url, {}, BODY) for _ in range(60)]
        await resetting
        return {result.code for result in results}

    # When / Then
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert run(scenario(listener)) == {"connection_reset"}


def test_a_protocol_switch_is_no_delivery(run: Run) -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"

    result, _ = run(attempt(sends(switch)))

    assert (result.outcome, result.code) == ("retry", "protocol_error")


def test_gone_disables_the_endpoint_and_overload_holds_back_the_origin(run: Run) -> None:
    assert run(attempt(answers(410)))[0].outcome == "gone"


def test_both_forms_of_retry_after_are_understood(run: Run) -> None:
    in_seconds, _ = run(attempt(answers(503, retry_after="120")))
    as_date, _ = run(attempt(answers(429, retry_after=formatdate(time.time() + 60, usegmt=True))))
    garbage, _ = run(attempt(answers(503, retry_after="soon\xff")))
    in_capitals, _ = run(
        attempt(sends(b"HTTP/1.1 503 Busy\r\nRETRY-AFTER: 7\r\nContent-Length: 0\r\n\r\n"))
    )

    assert in_capitals.retry_after_ms == 7000
    assert in_seconds.retry_after_ms == 120_000
    assert 50_000 < as_date.retry_after_ms <= 61_000
    assert garbage.retry_after_ms is None


def reset_connections(listener: socket.socket, count: int) -> None:
    """Accept so many connections and reset each."""
    listener.settimeout(5)
    for _ in range(count):
        connection, _ = listener.accept()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
        connection.close()
