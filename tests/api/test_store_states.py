"""What webhook, POST /jobs, /readyz, doctor and log say in each state of the store."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Final, NamedTuple

import pytest
import redis

from deploy.local.wait import until
from service.api.store_errors import CauseLog
from service.cli import main
from tests.support import store_states
from tests.support.encryption import SECRET_KEY
from tests.support.store_states import (
    Break,
    BreakableStore,
    breakable_store,
    configured,
    with_key,
    without_rights,
)
from tests.support.web import WebHarness, connect, order, run_web

JOB = {"kind": "dm", "account": "shop", "to": "some.handle", "text": "Hello"}
OPTIONS = "socket_timeout=0.7&socket_connect_timeout=0.7"
NOTHING, UNCERTAIN = "Nothing was stored", "Nothing is certain"


class State(NamedTuple):
    """A state of the store.

    Parameters:
      broken: Brings it about.
      certain: What 503s say about what was stored.
      cause: The cause, in 503s and in the log.
      doctor: What doctor says: the store's own words, or what to do.
      ready: What /readyz says, if not the cause.
    """

    broken: Break
    certain: str
    cause: str
    doctor: str
    ready: str | None = None


STATES: Final = {
    "full": State(
        configured("maxmemory", 1),
        NOTHING,
        "Redis is out of memory",
        "OOM command not allowed when used memory > 'maxmemory'",
    ),
    "read-only": State(
        store_states.read_only, NOTHING, "a read-only replica", "REDIS_URL must name the primary"
    ),
    "too few replicas": State(
        configured("min-replicas-to-write", 1),
        NOTHING,
        "fewer replicas than min-replicas-to-write",
        "NOREPLICAS Not enough good replicas to write",
    ),
    "cannot save": State(
        store_states.unable_to_save,
        NOTHING,
        "cannot save its data to disk",
        "MISCONF",
    ),
    "loading": State(
        store_states.loading, NOTHING, "still loading its data", "is loading the dataset in memory"
    ),
    "no scripts": State(
        without_rights("-fcall", "-evalsha"),
        NOTHING,
        "lacks a right",
        "no permissions to run the 'evalsha' command",
    ),
    "no right to a command": State(
        without_rights("-zadd", "-hincrby"),
        UNCERTAIN,
        "lacks a right",
        "ACL SETUSER: +hincrby, +zadd",
        "ACL SETUSER: +hincrby, +zadd",
    ),
    "no right to a key": State(
        without_rights("resetkeys", "~hg-mq*"),
        UNCERTAIN,
        "lacks a right",
        "ACL SETUSER: ~hg:*",
        "ACL SETUSER: ~hg:*",
    ),
    "a key of another application": State(
        with_key("hg:jobs", "text"),
        UNCERTAIN,
        "what another application has stored",
        "hg:jobs (string)",
        "hg:jobs (string)",
    ),
    "a counter that is none": State(
        with_key("hg:seq", "text"),
        UNCERTAIN,
        "what another application has stored",
        "value is not an integer",
    ),
    "another password": State(
        store_states.locked_out, NOTHING, "does not accept the credentials", "WRONGPASS"
    ),
    "stopped": State(store_states.stopped, NOTHING, "cannot be reached", "Error 111"),
}


@pytest.fixture(scope="module")
def store_to_break(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BreakableStore]:
    """One store for all tests of this file, whole between them."""
    with breakable_store(tmp_path_factory.mktemp("states") / "valkey") as opened:
        yield opened


@pytest.fixture(scope="module")
def own_web(
    store_to_break: BreakableStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebHarness]:
    """The application on that store, after it has accepted an event."""
    url = f"{store_to_break.url}?{OPTIONS}"
    directory = tmp_path_factory.mktemp("web")
    with (
        redis.Redis.from_url(url) as client,
        run_web(url, directory) as port,
        connect(port, client) as found,
    ):
        assert found.deliver("stripe", order("stripe", "evt_before")).status_code == 202
        yield found


@pytest.fixture
def processes_environment(
    store_to_break: BreakableStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment of a process that uses the store."""
    (tmp_path / "heliograph.toml").touch()
    monkeypatch.setenv("REDIS_URL", f"{store_to_break.url}?{OPTIONS}")
    monkeypatch.setenv("HELIOGRAPH_CONFIG", str(tmp_path / "heliograph.toml"))
    monkeypatch.setenv("SECRET_KEY", SECRET_KEY)
    monkeypatch.setenv("API_KEYS", f"ann:{token_hex(16)}")


def is_ready(web: WebHarness) -> bool:
    """Whether /readyz says so."""
    return web.http.get("/readyz").status_code == 200


@contextmanager
def cutting_server() -> Iterator[str]:
    """A server that greets like Redis and hangs up on every other command; yields its URL."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while (sent := self.request.recv(65536)) and b"FCALL" not in sent:
                self.wfile.write(b"+PONG\r\n" * sent.count(b"*"))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"redis://127.0.0.1:{server.server_address[1]}/0?protocol=2"
        server.shutdown()


@pytest.mark.usefixtures("processes_environment")
@pytest.mark.parametrize("state", STATES.values(), ids=STATES.keys())
def test_every_voice_tells_the_state_of_the_store(
    own_web: WebHarness,
    store_to_break: BreakableStore,
    state: State,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a store that works, according to everybody
    until(lambda: is_ready(own_web), 20, "readiness")
    assert main(["doctor", "--repair"]) == 0  # a right that is missing may leave half a job
    assert main(["doctor"]) == 0
    assert "ok: " in capfd.readouterr().out
    monkeypatch.setattr("service.api.store_errors._causes", CauseLog())

    event_id = f"evt_{state.cause}".replace(" ", "_") + str(len(state.doctor))
    with state.broken(store_to_break):
        # When it stops doing so, then readiness ends within a second and says why
        until(lambda: not is_ready(own_web), 20, "the end of readiness")
        ready = own_web.http.get("/readyz")
        assert ready.status_code == 503
        assert (state.ready or state.cause) in ready.json()["error"]["message"]
        # And webhook and job are sent away, with what is certain and why
        for refused in (
            own_web.deliver("stripe", order("stripe", event_id)),
            own_web.api.post("/jobs", json=JOB),
        ):
            assert refused.status_code == 503
            assert refused.headers["Retry-After"]
            message = refused.json()["error"]["message"]
            assert message.startswith(state.certain)
            assert state.cause in message
        # And the log says the same, once
        said = capfd.readouterr()
        lines = [line for line in said.out.splitlines() if "redis error" in line]
        assert len(lines) == 1
        assert state.certain in lines[0]
        assert state.cause in lines[0]
        # And doctor says it in the store's own words
        assert main(["doctor"]) == 1
        said = capfd.readouterr()
        assert state.doctor in said.out + said.err
        assert "ok: " not in said.out

    # And when the store works again, so does everything
    until(lambda: is_ready(own_web), 20, "readiness")
    until(lambda: own_web.deliver("stripe", order("stripe", event_id)).status_code < 300)


@pytest.mark.usefixtures("processes_environment")
def test_nothing_is_certain_when_a_store_takes_an_event_and_does_not_reply(
    own_web: WebHarness, store_to_break: BreakableStore
) -> None:
    # Given an open connection to a store that works
    until(lambda: is_ready(own_web), 20, "readiness")
    assert own_web.deliver("stripe", order("stripe", "evt_before")).status_code == 200
    # When it freezes
    with store_states.frozen(store_to_break):
        message = own_web.deliver("stripe", order("stripe", "evt_late")).json()["error"]["message"]
        assert message.startswith(UNCERTAIN)
        assert "did not answer in time" in message
        # Then nobody says that it works
        until(lambda: not is_ready(own_web), 20, "the end of readiness")
        assert main(["doctor"]) == 1
    until(lambda: is_ready(own_web), 20, "readiness")


def test_nothing_is_certain_when_the_connection_ends_after_an_event_was_sent(
    tmp_path: Path,
) -> None:
    # Given a store whose connection ends when it has taken a command, before its reply
    with (
        cutting_server() as url,
        redis.Redis.from_url(url) as client,
        run_web(url, tmp_path) as port,
        connect(port, client) as web,
    ):
        response = web.deliver("stripe", order("stripe", "evt_cut"))
    assert response.status_code == 503
    assert response.json()["error"]["message"].startswith(UNCERTAIN)
    assert "connection to Redis was lost" in response.json()["error"]["message"]


def test_a_refusal_after_a_change_does_not_say_that_nothing_was_stored(
    own_web: WebHarness, store_to_break: BreakableStore
) -> None:
    until(lambda: is_ready(own_web), 20, "readiness")
    # Given a user who may store a code, and not run the script that comes after it
    with without_rights("-fcall", "-evalsha")(store_to_break):
        refused = own_web.api.post("/accounts/shop/challenge", json={"code": "123456"})
    assert refused.status_code == 503
    assert refused.json()["error"]["message"].startswith(UNCERTAIN)
    assert store_to_break.admin.exists("hg:code:shop")
