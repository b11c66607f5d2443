"""The clients' own decisions: no retries, and waiting for Redis quietly."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
import redis
from structlog.testing import capture_logs

from deploy.local.valkey import Valkey
from deploy.local.wait import free_port, until
from service.redis.client import REDIS_ERRORS, sync_client, wait_for_redis


class Attempts:
    """Counts the attempts of a wait, and ends it after some."""

    def __init__(self, most: int) -> None:
        self.count = 0
        self._most = most

    def __call__(self) -> bool:
        self.count += 1
        return self.count > self._most


def unreachable() -> redis.Redis:
    """A client to a port where nobody listens."""
    return sync_client(f"redis://127.0.0.1:{free_port()}/0", max_connections=1)


def test_the_wait_for_redis_ends_when_the_process_is_to_stop() -> None:
    attempts = Attempts(3)
    assert not wait_for_redis(unreachable(), attempts)
    assert attempts.count == 4


def test_the_wait_for_redis_warns_once_a_minute() -> None:
    with capture_logs() as lines:
        wait_for_redis(unreachable(), Attempts(4))
    assert [line["event"] for line in lines] == ["waiting for redis"]


def test_the_wait_for_redis_ends_when_it_answers(tmp_path: Path) -> None:
    with Valkey(tmp_path) as valkey:
        valkey.kill()
        client = sync_client(valkey.url, max_connections=1)
        attempts, answers = Attempts(1000), []
        waiting = threading.Thread(
            target=lambda: answers.append(wait_for_redis(client, attempts)), daemon=True
        )
        waiting.start()
        until(lambda: attempts.count > 1, 10, "the wait")
        assert not answers
        valkey.start()
        until(lambda: answers == [True], 20, "the answer")
        waiting.join()
        client.close()


@pytest.mark.parametrize("seconds", [0.2, 0.4])
def test_a_reply_that_is_late_is_an_error_and_the_command_is_not_sent_again(
    seconds: float,
) -> None:
    received: list[bytes] = []

    def hear(server: socket.socket) -> None:
        # Given a server that answers the handshake, and nothing else
        with suppress(OSError):  # it is closed
            while True:
                peer, _ = server.accept()
                with peer:
                    while data := peer.recv(65536):
                        received.append(data)
                        if b"INCR" not in data:
                            peer.sendall(b"+PONG\r\n" if b"PING" in data else b"+OK\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=hear, args=[server], daemon=True).start()
        url = f"redis://127.0.0.1:{server.getsockname()[1]}/0?protocol=2"
        client = sync_client(url, max_connections=1, reply_seconds=seconds)
        started = time.monotonic()
        with pytest.raises(REDIS_ERRORS):
            client.incr("counter")
        assert time.monotonic() - started >= seconds
        client.close()
    assert b"".join(received).count(b"INCR") == 1
