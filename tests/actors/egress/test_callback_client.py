"""One callback attempt, against real servers that misbehave."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
import time
import tracemalloc
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import uvloop
from standardwebhooks.webhooks import Webhook

from actors.egress.callback_client import DEFAULT_LIMITS, CallbackClient, CallbackLimits
from actors.egress.guarded_connections import GuardedBackend
from actors.egress.origin_limiter import OriginBusy, OriginLimiter
from service.deliveries.attempt_results import MAX_BODY_BYTES, AttemptResult
from service.network.ip_filter import IpFilter, parse_cidrs
from service.signatures import sign
from tests.support.certificate_authority import Authority
from tests.support.misbehaving_servers import (
    LINGER_ZERO,
    OK,
    Behaviour,
    Conversation,
    Hostile,
    answers,
    answers_after,
    gzip_bomb,
    hangs_at_once,
    hangs_before_headers,
    hangs_in_the_body,
    repeats,
    resets,
    resets_after_headers,
    sends,
    serve,
)

Run = Callable[[Coroutine[Any, Any, Any]], Any]

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"type":"job.succeeded"}'
LOOPBACK = IpFilter(parse_cidrs("127.0.0.0/8"))
HASTY = CallbackLimits(connect_seconds=1.0, total_seconds=0.4, capture_seconds=0.2)


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Run a scenario on the loop of the standard library, and on the workers'."""

    def run_on_the_loop(scenario: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(scenario)

    return run_on_the_loop


def an_exchange(
    ip_filter: IpFilter = LOOPBACK, limits: CallbackLimits = DEFAULT_LIMITS
) -> CallbackClient:
    return CallbackClient(
        GuardedBackend(ip_filter), version="1.2.3", allow_http=True, limits=limits
    )


async def attempt(
    behaviour: Behaviour, limits: CallbackLimits = DEFAULT_LIMITS
) -> tuple[AttemptResult, Hostile]:
    async with serve(behaviour) as server, an_exchange(limits=limits) as exchange:
        return await exchange.post(server.url(), {}, BODY), server


def signed() -> dict[str, str]:
    return sign.headers([SECRET], "dlv_1", int(time.time()), BODY)


def test_a_2xx_is_a_delivery(run: Run) -> None:
    result, server = run(attempt(answers(202, b"thank you")))

    assert (result.outcome, result.code, result.status) == ("delivered", "http_202", 202)
    assert result.body == "thank you"
    assert server.connections == 1


def test_what_arrives_verifies_with_the_official_library(run: Run) -> None:
    async def scenario() -> bytes:
        async with serve(answers(200)) as server, an_exchange() as exchange:
            await exchange.post(server.url(path="/hook?k=v"), signed, BODY)
            return server.requests[0]

    head, _, body = run(scenario()).partition(b"\r\n\r\n")
    request_line, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert request_line == "POST /hook?k=v HTTP/1.1"
    assert body == BODY
    Webhook(SECRET).verify(body, headers)


def test_the_request_asks_for_nothing_compressed_and_says_who_it_is(run: Run) -> None:
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


def test_the_beginning_of_a_dripping_body_is_captured_and_the_server_left(run: Run) -> None:
    async def scenario() -> AttemptResult:
        drip = repeats(OK + b"content-length: 9999\r\n\r\n", b".", pause_seconds=0.01)
        async with serve(drip) as server, an_exchange(limits=HASTY) as exchange:
            result = await exchange.post(server.url(), {}, BODY)
            await asyncio.wait_for(server.hung_up.wait(), 5)
            return result

    result = run(scenario())
    assert result.body
    assert set(result.body) == {"."}


def test_a_gzip_bomb_is_neither_inflated_nor_read_on(run: Run) -> None:
    async def scenario() -> tuple[AttemptResult, int, int]:
        async with serve(gzip_bomb()) as server, an_exchange() as exchange:
            # What the first exchange of a process imports is not the bomb's.
            await exchange.post(server.url(), {}, BODY)
            await asyncio.wait_for(server.hung_up.wait(), 5)
            server.hung_up.clear()
            before = server.bytes_sent
            tracemalloc.start()
            result = await exchange.post(server.url(), {}, BODY)
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
def test_an_answer_that_is_no_http_is_a_protocol_error(run: Run, behaviour: Behaviour) -> None:
    result, server = run(attempt(behaviour))

    assert (result.outcome, result.code) == ("retry", "protocol_error")
    assert server.bytes_sent < 512 * 1024


@pytest.mark.parametrize(
    "behaviour",
    [resets, sends(b""), sends(OK + b"x: 1")],
    ids=["reset", "hang-up", "cut short"],
)
def test_a_connection_lost_before_the_answer_is_a_reset(run: Run, behaviour: Behaviour) -> None:
    result, _ = run(attempt(behaviour))

    assert (result.outcome, result.code) == ("retry", "connection_reset")


def test_a_connection_that_is_reset_at_once_is_a_reset(run: Run) -> None:
    # Given a server fast enough to reset while the connection is being made (one in ten or so)
    async def scenario(listener: socket.socket) -> set[str]:
        resetting = asyncio.create_task(asyncio.to_thread(reset_connections, listener, 60))
        async with an_exchange() as exchange:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            results = [await exchange.post(url, {}, BODY) for _ in range(60)]
        await resetting
        return {result.code for result in results}

    # When / Then
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert run(scenario(listener)) == {"connection_reset"}


def test_a_closed_port_is_a_refusal(run: Run) -> None:
    async def scenario() -> AttemptResult:
        async with serve(answers(200)) as server:
            url = server.url()
        async with an_exchange() as exchange:
            return await exchange.post(url, {}, BODY)

    result = run(scenario())
    assert (result.outcome, result.code) == ("retry", "connection_refused")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_never_followed(run: Run, status: int) -> None:
    async def scenario() -> tuple[AttemptResult, Hostile]:
        async with (
            serve(answers(200)) as target,
            serve(answers(status, location=target.url())) as server,
            an_exchange() as exchange,
        ):
            return await exchange.post(server.url(), {}, BODY), target

    result, target = run(scenario())
    assert (result.outcome, result.code, result.status) == ("retry", "redirect", status)
    assert target.connections == 0


def test_a_protocol_switch_is_no_delivery(run: Run) -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"

    result, _ = run(attempt(sends(switch)))

    assert (result.outcome, result.code) == ("retry", "protocol_error")


def test_gone_disables_and_overload_holds_back(run: Run) -> None:
    assert run(attempt(answers(410)))[0].outcome == "gone"
    assert run(attempt(answers(503)))[0].hold_back_origin
    assert run(attempt(answers(429)))[0].hold_back_origin
    assert not run(attempt(answers(500)))[0].hold_back_origin


def test_both_forms_of_retry_after_are_heard(run: Run) -> None:
    in_seconds, _ = run(attempt(answers(503, retry_after="120")))
    as_date, _ = run(attempt(answers(429, retry_after=formatdate(time.time() + 60, usegmt=True))))
    garbage, _ = run(attempt(answers(503, retry_after="soon\xff")))

    assert in_seconds.retry_after_ms == 120_000
    assert 50_000 < as_date.retry_after_ms <= 61_000
    assert garbage.retry_after_ms is None


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0", "[::1]", "[::ffff:127.0.0.1]"],
)
def test_the_own_machine_is_never_called(run: Run, host: str) -> None:
    async def scenario() -> tuple[AttemptResult, Hostile]:
        async with serve(answers(200)) as server, an_exchange(IpFilter()) as exchange:
            return await exchange.post(server.url(host), {}, BODY), server

    result, server = run(scenario())
    assert (result.outcome, result.code) == ("final", "blocked_address")
    assert server.connections == 0
    assert host not in result.message
    assert "127" not in result.message


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "https://u:p@127.0.0.1/", "gopher://a/", ""])
def test_an_unusable_url_is_final(run: Run, url: str) -> None:
    async def scenario() -> AttemptResult:
        async with CallbackClient(GuardedBackend(LOOPBACK), version="1") as exchange:
            return await exchange.post(url, {}, BODY)

    result = run(scenario())
    assert (result.outcome, result.code) == ("final", "invalid_url")


def test_proxies_of_the_environment_are_ignored(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    result, _ = run(attempt(answers(200)))

    assert result.outcome == "delivered"


def test_running_out_of_files_is_our_own_fault(run: Run) -> None:
    async def literal(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async def scenario() -> AttemptResult:
        backend = GuardedBackend(LOOPBACK, literal)
        async with CallbackClient(backend, version="1", allow_http=True) as exchange:
            with no_more_files():
                return await exchange.post("http://callbacks.example/", {}, BODY)

    result = run(scenario())
    assert (result.outcome, result.code) == ("uncharged", "local_resources")


# --- One origin at a time ---------------------------------------------------------------------


def test_at_most_four_exchanges_go_on_with_one_origin(run: Run) -> None:
    async def scenario() -> tuple[list[AttemptResult], Hostile]:
        release = asyncio.Event()

        async def waits(conversation: Conversation) -> None:
            await conversation.read_request()
            if conversation.server.in_flight == 4:
                release.set()
            await release.wait()
            await conversation.send(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")

        async with serve(waits) as server, an_exchange() as exchange:
            posts = [exchange.post(server.url(path=f"/{n}"), {}, BODY) for n in range(9)]
            return await asyncio.gather(*posts), server

    results, server = run(scenario())
    assert [result.outcome for result in results] == ["delivered"] * 9
    assert server.peak_in_flight == 4


def test_waiting_for_the_origin_is_not_counted_as_its_slowness(run: Run) -> None:
    async def scenario() -> list[AttemptResult]:
        limits = CallbackLimits(total_seconds=1.0, per_origin=1, wait_seconds=30)
        async with serve(answers_after(0.4)) as server, an_exchange(limits=limits) as exchange:
            return await asyncio.gather(*(exchange.post(server.url(), {}, BODY) for _ in range(3)))

    results = run(scenario())
    assert [result.outcome for result in results] == ["delivered"] * 3
    assert max(result.duration_ms for result in results) < 1000


def test_an_attempt_is_signed_when_its_turn_has_come(run: Run) -> None:
    async def scenario() -> list[int]:
        answered: list[int] = []

        def counts() -> dict[str, str]:
            answered.append(len(server.requests))
            return {}

        limits = CallbackLimits(per_origin=1)
        async with serve(answers(200)) as server, an_exchange(limits=limits) as exchange:
            await asyncio.gather(*(exchange.post(server.url(), counts, BODY) for _ in range(3)))
        return answered

    assert run(scenario()) == [0, 1, 2]


def test_a_hanging_origin_does_not_hold_up_another(run: Run) -> None:
    async def scenario() -> AttemptResult:
        async with (
            serve(hangs_before_headers) as dead,
            serve(answers(200)) as alive,
            an_exchange() as exchange,
        ):
            stuck = [asyncio.create_task(exchange.post(dead.url(), {}, BODY)) for _ in range(8)]
            await asyncio.sleep(0)
            result = await exchange.post(alive.url(), {}, BODY)
            for task in stuck:
                task.cancel()
            await asyncio.gather(*stuck, return_exceptions=True)
            return result

    assert run(scenario()).outcome == "delivered"


def test_whoever_would_wait_too_long_for_an_origin_is_sent_away(run: Run) -> None:
    async def scenario() -> tuple[list[AttemptResult], Hostile]:
        limits = CallbackLimits(initial_waiting=3, wait_seconds=0.1)
        async with serve(hangs_before_headers) as server, an_exchange(limits=limits) as exchange:
            posts = [asyncio.create_task(exchange.post(server.url(), {}, BODY)) for _ in range(9)]
            # Two find no room, three wait in vain, four are under way.
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
    assert {(result.outcome, result.code) for result in done} == {("uncharged", "origin_busy")}
    assert server.connections == 4


def test_as_many_may_wait_as_an_origin_serves_in_time(run: Run) -> None:
    async def scenario() -> None:
        lanes = OriginLimiter(2, initial_waiting=1, wait_seconds=30, max_users=100)
        async with lanes.slot("https://a.example"):
            async with lanes.slot("https://a.example"):
                assert await _refused(lanes, 5) == 4
            # It was quick, so there is room for everybody.
            assert await _refused(lanes, 50) == 0

    run(scenario())


def test_after_a_wait_in_vain_nobody_waits_until_an_exchange_ends(run: Run) -> None:
    async def scenario() -> None:
        lanes = OriginLimiter(1, initial_waiting=50, wait_seconds=0.02, max_users=100)
        async with lanes.slot("https://a.example"):
            with pytest.raises(OriginBusy):
                async with lanes.slot("https://a.example"):
                    pass
            assert await _refused(lanes, 9) == 9
        assert len(lanes) == 0

    run(scenario())


async def _refused(lanes: OriginLimiter, count: int) -> int:
    """How many of so many newcomers are sent away at once."""
    newcomers = [
        asyncio.create_task(lanes.slot("https://a.example").__aenter__()) for _ in range(count)
    ]
    await asyncio.sleep(0)
    refused = sum(task.done() and isinstance(task.exception(), OriginBusy) for task in newcomers)
    for task in newcomers:
        task.cancel()
    await asyncio.gather(*newcomers, return_exceptions=True)
    return refused


def test_lanes_are_forgotten_when_nobody_uses_them(run: Run) -> None:
    async def scenario() -> None:
        lanes = OriginLimiter(1, initial_waiting=1, wait_seconds=30, max_users=100)
        async with lanes.slot("https://a.example"):
            waiting = asyncio.create_task(lanes.slot("https://a.example").__aenter__())
            await asyncio.sleep(0)
            assert len(lanes) == 1
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            async with lanes.slot("https://b.example"):
                assert len(lanes) == 2
        assert len(lanes) == 0

    run(scenario())


# --- Connections ------------------------------------------------------------------------------


def test_a_connection_whose_answer_was_read_is_used_again(run: Run) -> None:
    async def scenario() -> Hostile:
        async with serve(answers(200, b"ok")) as server, an_exchange() as exchange:
            for _ in range(3):
                await exchange.post(server.url(), {}, BODY)
            return server

    server = run(scenario())
    assert (len(server.requests), server.connections) == (3, 1)


def test_a_connection_is_not_worn_out_by_decent_answers(run: Run) -> None:
    async def scenario() -> Hostile:
        async with serve(answers(200, b"x" * 4000)) as server, an_exchange() as exchange:
            for _ in range(40):
                assert (await exchange.post(server.url(), {}, BODY)).outcome == "delivered"
            return server

    assert run(scenario()).connections == 1


def test_a_connection_whose_answer_was_not_read_is_closed(run: Run) -> None:
    async def scenario() -> Hostile:
        async with serve(answers(200, b"x" * 50_000)) as server, an_exchange() as exchange:
            for _ in range(3):
                assert (await exchange.post(server.url(), {}, BODY)).outcome == "delivered"
            return server

    assert run(scenario()).connections == 3


def test_a_cancelled_attempt_closes_its_connection_and_frees_its_place(run: Run) -> None:
    async def scenario() -> AttemptResult:
        async def answers_the_second(conversation: Conversation) -> None:
            second = conversation.server.asked.is_set()
            await conversation.read_request()
            await (conversation.send(OK + b"\r\n") if second else conversation.wait_for_hang_up())

        limits = CallbackLimits(per_origin=1)
        async with serve(answers_the_second) as server, an_exchange(limits=limits) as exchange:
            task = asyncio.create_task(exchange.post(server.url(), {}, BODY))
            await asyncio.wait_for(server.asked.wait(), 5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(server.hung_up.wait(), 5)
            return await exchange.post(server.url(), {}, BODY)

    assert run(scenario()).outcome == "delivered"


# --- TLS --------------------------------------------------------------------------------------


async def attempt_tls(
    tls: ssl.SSLContext, trusted: Path | None, behaviour: Behaviour | None = None
) -> tuple[AttemptResult, Hostile]:
    async def literal(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    backend = GuardedBackend(LOOPBACK, literal)
    bundle = str(trusted) if trusted else None
    async with (
        serve(behaviour or answers(200), tls=tls) as server,
        CallbackClient(backend, version="1", ca_bundle=bundle) as exchange,
    ):
        return await exchange.post(server.url("callbacks.example"), {}, BODY), server


def test_tls_keeps_the_host_name_while_an_address_is_dialled(run: Run, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = authority.server_context("callbacks.example")
    asked: list[str | None] = []
    context.sni_callback = lambda _, name, __: asked.append(name)

    result, server = run(attempt_tls(context, authority.bundle))

    assert result.outcome == "delivered"
    assert asked == ["callbacks.example"]
    assert b"host: callbacks.example:%d\r\n" % server.port in server.requests[0]


def test_a_certificate_for_another_name_is_refused(run: Run, tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    result, server = run(attempt_tls(authority.server_context("evil.example"), authority.bundle))

    assert (result.outcome, result.code) == ("retry", "tls_failed")
    assert server.requests == []


def test_a_certificate_for_the_dialled_address_is_refused(run: Run, tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    result, _ = run(attempt_tls(authority.server_context("127.0.0.1"), authority.bundle))

    assert result.code == "tls_failed"


def test_an_unknown_authority_is_refused(run: Run, tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    result, server = run(attempt_tls(authority.server_context("callbacks.example"), None))

    assert (result.outcome, result.code) == ("retry", "tls_failed")
    assert server.requests == []


def test_a_server_that_wants_a_client_certificate_is_a_tls_failure(
    run: Run, tmp_path: Path
) -> None:
    # Given a server whose refusal comes after the handshake, as TLS 1.3 has it
    authority = Authority(tmp_path)
    context = authority.server_context("127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.bundle)

    async def scenario(listener: socket.socket) -> AttemptResult:
        refusing = asyncio.create_task(asyncio.to_thread(refuse_handshake, listener, context))
        backend = GuardedBackend(LOOPBACK)
        async with CallbackClient(
            backend, version="1", ca_bundle=str(authority.bundle)
        ) as exchange:
            port = listener.getsockname()[1]
            result = await exchange.post(f"https://127.0.0.1:{port}/", {}, BODY)
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
def test_a_server_that_speaks_no_tls_is_no_delivery(
    run: Run, behaviour: Behaviour, code: str
) -> None:
    async def scenario() -> AttemptResult:
        backend = GuardedBackend(LOOPBACK)
        limits = CallbackLimits(connect_seconds=0.5)
        async with (
            serve(behaviour) as server,
            CallbackClient(backend, version="1", limits=limits) as exchange,
        ):
            return await exchange.post(f"https://127.0.0.1:{server.port}/", {}, BODY)

    assert run(scenario()).code == code


def test_an_attempt_cancelled_in_the_handshake_closes_its_connection(run: Run) -> None:
    async def scenario() -> None:
        backend = GuardedBackend(LOOPBACK)
        async with serve(hangs_at_once) as server, CallbackClient(backend, version="1") as exchange:
            url = f"https://127.0.0.1:{server.port}/"
            task = asyncio.create_task(exchange.post(url, {}, BODY))
            await asyncio.wait_for(server.accepted.wait(), 5)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await asyncio.wait_for(server.hung_up.wait(), 5)

    run(scenario())


def test_a_large_answer_over_tls_is_captured_like_any_other(run: Run, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = authority.server_context("callbacks.example")

    result, _ = run(attempt_tls(context, authority.bundle, gzip_bomb()))

    assert result.outcome == "delivered"
    assert len(result.body.encode()) <= MAX_BODY_BYTES


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_unreadable_ca_bundle_is_refused_at_boot(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)

    with pytest.raises(ValueError, match="CA bundle"):
        CallbackClient(GuardedBackend(LOOPBACK), version="1", ca_bundle=str(path))


def reset_connections(listener: socket.socket, count: int) -> None:
    """Accept so many connections and answer each with a RST."""
    listener.settimeout(5)
    for _ in range(count):
        connection, _ = listener.accept()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
        connection.close()


def refuse_handshake(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Accept once and refuse with an alert; asyncio's own server would just hang up."""
    listener.settimeout(5)
    connection, _ = listener.accept()
    connection.settimeout(5)
    with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as tls:
        with pytest.raises(ssl.SSLError):
            tls.do_handshake()
        while socket.socket.recv(tls, 65536):  # Unread bytes would turn the close into a reset.
            pass


@contextmanager
def no_more_files() -> Iterator[None]:
    """As if the process had every file open that it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
