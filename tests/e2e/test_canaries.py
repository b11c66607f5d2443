"""No secret leaks, whatever succeeds or fails: secrets are planted and searched for afterwards."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest

from actors.instagram.gateway import Gateway
from actors.runtime import WorkerConfig
from deploy.local.instagram.state import SHOP_PASSWORD
from deploy.local.procfile import ROOT
from deploy.local.received_callbacks import ReceivedCallback
from deploy.local.sender import EVENTS, event, send
from deploy.local.stack import Stack
from deploy.local.wait import until
from service.accounts.encryption import derive_keys
from service.accounts.session_store import SessionStore
from service.config.config import load_config
from service.config.settings import SettingsError, load_settings
from service.dependencies import create_services
from service.redis.client import async_client
from tests.support.canaries import Canary, dump_store, leaks, new_secret
from tests.support.fleet import create_job, own_scenario, post, run_fleet, wait_kept
from tests.support.scenario import Scenario
from tests.support.sessions import CANARY as FOREIGN_SESSION
from tests.support.sessions import document

TOTP_SEED = "JBSWY3DPEHPK3PXPKRUGKICD"
#: Variables that hold an account's secrets, and the rest of its table.
ACCOUNTS: dict[str, dict[str, str]] = {
    "plain": {"password": "env:PLAIN_PASSWORD"},
    "factors": {"password": "env:FACTORS_PASSWORD", "totp_seed": "env:FACTORS_SEED"},
    "wrong": {"password": "env:WRONG_PASSWORD"},
    "locked": {"password": "env:LOCKED_PASSWORD"},
    "astray": {"password": "env:ASTRAY_PASSWORD", "proxy": "env:ASTRAY_PROXY"},
    "imported": {"password": "env:IMPORTED_PASSWORD"},
}


class CanaryStack:
    """A stack full of canaries, and everything that it outputs.

    Parameters:
      stack: A stack without processes.
    """

    def __init__(self, stack: Stack, scenario: Scenario) -> None:
        self.stack, self.scenario = stack, scenario
        self.secrets = {
            **{name: new_secret() for name in ("proxy_user", "proxy_password", "astray_password")},
            **{name: new_secret() for name in ("api_key_of_another", "what_was_sent_by_mistake")},
            "code": new_secret(12),
        }
        self.variables = self._variables()
        self.responses: list[str] = []
        self.callbacks: list[ReceivedCallback] = []
        scenario.api.event_hooks["response"].append(self._keep_response)

    def start(self) -> None:
        """Create the accounts and start the processes."""
        fake_instagram = self.stack.fake_instagram
        fake_instagram.proxy_credentials(self._of("proxy_user", "proxy_password"))
        for name in ACCOUNTS:
            fake_instagram.add_account(name, self.variables[f"{name.upper()}_PASSWORD"])
        fake_instagram.add_account("wrong", "another password")
        fake_instagram.add_account(
            "factors", self.variables["FACTORS_PASSWORD"], totp_seed=TOTP_SEED
        )
        code = self.secrets["code"]
        fake_instagram.add_account("locked", self.variables["LOCKED_PASSWORD"], profile_code=code)
        for name in ("web", "worker", "scheduler"):
            self.stack.start(name, environ=self.variables)
        until(self.stack.ready)

    def canaries(self) -> list[Canary]:
        """Every secret."""
        environ = self.stack.environ()
        named = {
            **self.secrets,
            **{name: value for name, value in self.variables.items() if "PROXY" not in name},
            "SECRET_KEY": environ["SECRET_KEY"],
            "api_key": self.stack.api_key,
            "webhook_secret": self.stack.webhook_secret.removeprefix("whsec_"),
            "callback_secret": self.stack.callback_secret.removeprefix("whsec_"),
            "session_of_another": FOREIGN_SESSION,
        }
        return [Canary(name, value) for name, value in named.items()]

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the `heliograph` command."""
        return subprocess.run(
            [sys.executable, "-m", "service", *arguments],
            cwd=ROOT,
            env={**self.stack.environ(), **self.variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def _variables(self) -> dict[str, str]:
        port = self.stack.fake_instagram.proxy_url.rpartition(":")[2]
        way, astray = (
            f"http://{self._of('proxy_user', which)}@127.0.0.1:{port}"
            for which in ("proxy_password", "astray_password")
        )
        passwords = {f"{name.upper()}_PASSWORD": new_secret() for name in ACCOUNTS}
        proxies = {"INSTAGRAM_PROXY": way, "ASTRAY_PROXY": astray}
        return {**passwords, **proxies, "FACTORS_SEED": TOTP_SEED}

    def _of(self, user: str, password: str) -> str:
        return f"{self.secrets[user]}:{self.secrets[password]}"

    def _keep_response(self, response: httpx.Response) -> None:
        response.read()
        self.responses.append(f"{response.headers} {response.text}")


@pytest.fixture
def canary_stack(tmp_path: Path) -> Iterator[CanaryStack]:
    """All processes, running, before any work."""
    with (
        run_fleet(tmp_path, ACCOUNTS, processes=()) as stack,
        own_scenario(stack, "canaries") as scenario,
    ):
        made = CanaryStack(stack, scenario)
        made.start()
        yield made


def test_no_secret_appears_anywhere_whatever_succeeds_or_fails(
    canary_stack: CanaryStack, tmp_path: Path
) -> None:
    # Given work that succeeds, and then every kind of failure
    _successful_work(canary_stack)
    sessions = _sessions(canary_stack)
    _accounts_in_trouble(canary_stack)
    _instagram_echoes_requests(canary_stack, [each.value for each in sessions])
    _failing_callbacks(canary_stack)
    _mistaken_callers(canary_stack)
    body = {
        "commands": _commands(canary_stack, tmp_path),
        "reprs": _reprs(canary_stack),
        "GET": _every_get(canary_stack),
        "answers": "\n".join(canary_stack.responses),
        "callbacks": json.dumps(canary_stack.callbacks + canary_stack.stack.receiver.received()),
        "store": dump_store(canary_stack.stack.redis_url),
        **{log.name: log.read_text() for log in canary_stack.stack.directory.glob("*.log")},
    }
    # Then every one of them has left a trace
    assert {"web.log", "worker.log", "scheduler.log"} <= body.keys()
    assert all(len(text) > 100 for text in body.values()), {k: len(v) for k, v in body.items()}
    for place, words in _expected_words().items():
        assert words in body[place], place
    # And none of the traces has a secret
    assert leaks(body, [*canary_stack.canaries(), *sessions]) == []


def _expected_words() -> dict[str, str]:
    """Texts that must be found, to show that the search looked in the right places."""
    return {
        "GET": "job_",
        "answers": "invalid_request",
        "callbacks": "job.succeeded",
        "commands": "ok",
        "reprs": "Settings(",
        "store": "hg:session:plain",
        "worker.log": "ready for action",
    }


def _successful_work(canary_stack: CanaryStack) -> None:
    scenario = canary_stack.scenario
    jobs = [
        create_job(scenario, name, kind)
        for name in ("plain", "factors")
        for kind in ("dm", "comment")
    ]
    answer = scenario.send("checkout.session.completed")
    assert {scenario.wait_final(job_id)["status"] for job_id in jobs} == {"succeeded"}
    assert scenario.wait_final(answer.body["jobs"][0])["status"] == "succeeded"
    again = scenario.send("checkout.session.completed")
    assert again.body["duplicate"] is True


def _sessions(canary_stack: CanaryStack) -> list[Canary]:
    """The secrets of the accounts' sessions, as exported."""
    found = []
    for name in ("plain", "factors"):
        exported = json.loads(canary_stack.command("session", "export", name, "-").stdout)
        session_id = exported["authorization_data"]["sessionid"]
        found.append(Canary(f"session of {name}", session_id.split("%3A")[1]))
        key = exported["usdid"]["private_key"].splitlines()[1]
        found.append(Canary(f"device key of {name}", key))
    return found


def _accounts_in_trouble(canary_stack: CanaryStack) -> None:
    scenario, code = canary_stack.scenario, canary_stack.secrets["code"]
    wait_kept(scenario, create_job(scenario, "wrong"), "held", "bad_password")
    locked = create_job(scenario, "locked")
    wait_kept(scenario, locked, "held", "challenge_required")
    for answer in ({"code": f"{code}!?"}, {"code": [code]}, {"code": code, "codes": code}, code):
        refused = scenario.api.post("/accounts/locked/challenge", json=answer)
        assert refused.status_code == 422
    post(scenario, "/accounts/locked/challenge", {"code": code})
    assert scenario.wait_final(locked)["status"] == "succeeded"
    astray = create_job(scenario, "astray")
    until(lambda: scenario.job(astray)["wait"], 30, "the refusal of the proxy")
    # Replace a valid session by one that Instagram does not know
    _accepted(scenario.api.put("/accounts/imported/session", json=document()))
    assert scenario.wait_final(create_job(scenario, "imported"))["status"] == "succeeded"


def _accepted(response: httpx.Response) -> None:
    assert response.status_code == 200, response.text


def _instagram_echoes_requests(canary_stack: CanaryStack, sessions: list[str]) -> None:
    """Errors whose bodies are full of secrets, which exceptions and logs tend to include."""
    scenario, fake_instagram = canary_stack.scenario, canary_stack.stack.fake_instagram
    echo = " ".join([*sessions, *canary_stack.variables.values(), *canary_stack.secrets.values()])
    bodies: list[Any] = [f"<html>{echo}</html>", {"message": echo, "status": "fail"}]
    for status, body in product((500, 400, 403, 200), bodies):
        fake_instagram.fault("usernameinfo", account="plain", status=status, body=body)
        job_id = create_job(scenario, "plain", to=f"nobody.{status}.{len(str(body))}")
        until(partial(_is_final, scenario, job_id), 20, f"what becomes of {status}")
    fake_instagram.fault("comment", account="plain", status_after_effect=502, body=bodies[0])
    assert (
        scenario.wait_final(create_job(scenario, "plain", "comment"), 40)["status"] == "succeeded"
    )


def _is_final(scenario: Scenario, job_id: str) -> bool:
    job = scenario.job(job_id)
    reason = (job["wait"] or {}).get("reason")
    return job["status"] in ("failed", "succeeded", "held") or reason not in (None, "turn")


def _failing_callbacks(canary_stack: CanaryStack) -> None:
    scenario, receiver = canary_stack.scenario, canary_stack.stack.receiver
    canary_stack.callbacks = receiver.received()
    for status in (500, 302, 410):
        receiver.answer(status=status, times=1, body="no", headers={"Location": "/elsewhere"})
        _callback_of_a_new_job(scenario)
    receiver.clear_answers()


def _callback_of_a_new_job(scenario: Scenario) -> ReceivedCallback:
    """Create a job that ends at once; return its callback as received."""
    job_id = create_job(scenario, "plain", delay_seconds=600)
    post(scenario, f"/jobs/{job_id}/cancel")
    return scenario.wait_callbacks(job_id)[0]


def _mistaken_callers(canary_stack: CanaryStack) -> None:
    """Requests with secrets in the wrong places."""
    for secret in (canary_stack.secrets["what_was_sent_by_mistake"], canary_stack.stack.api_key):
        for response in _mistaken_requests(canary_stack.scenario.api, secret):
            assert response.status_code >= 400, response.request.url
    _mistaken_keys(canary_stack)
    _mistaken_signatures(canary_stack)
    _mistaken_sessions(canary_stack)


def _mistaken_requests(api: httpx.Client, secret: str) -> Iterator[httpx.Response]:
    job = {"kind": "dm", "account": "plain", "to": "some.handle", "text": "hello"}
    for field in ("account", "callback", "kind", "to", "run_at", "priority"):
        yield api.post("/jobs", json={**job, field: f"{secret}, or another"})
    yield api.post("/jobs", content=f'{{"text": "{secret}"')
    yield api.post("/jobs", content=secret, headers={"Content-Type": "text/plain"})
    yield api.get("/jobs", params={"status": secret})
    yield api.get("/jobs", params={"cursor": secret})
    yield api.put("/suppressions/some.handle", params={"account": secret})
    for path in ("jobs", "events", "deliveries", "accounts", "suppressions", "webhooks"):
        yield api.get(f"/{path}/{quote(secret, safe='')}!")


def _mistaken_keys(canary_stack: CanaryStack) -> None:
    key, other = canary_stack.stack.api_key, canary_stack.secrets["api_key_of_another"]
    headers: list[dict[str, str]] = [
        {"Authorization": f"Bearer {other}"},
        {"Authorization": f"Bearer {key}x"},
        {"Authorization": f"Basic {base64.b64encode(key.encode()).decode()}"},
        {"Authorization": key},
        {"Authorization": "", "X-Api-Key": canary_stack.stack.api_key},
    ]
    for each in headers:
        query = urlencode({"api_key": canary_stack.stack.api_key})
        assert canary_stack.scenario.api.get(f"/jobs?{query}", headers=each).status_code == 401


def _mistaken_signatures(canary_stack: CanaryStack) -> None:
    hook, secret = f"{canary_stack.stack.url}/webhooks/stripe", canary_stack.stack.webhook_secret
    refused = send(hook, f"whsec_{new_secret()}", event("checkout.session.completed"))
    assert refused.status >= 400
    canary_stack.responses.append(json.dumps(refused.body))
    for signature in (secret, f"t=1,v1={secret}", f"t={secret},v1=00"):
        headers = {"Stripe-Signature": signature, "Content-Type": "application/json"}
        body = json.dumps({"id": secret, "type": canary_stack.stack.api_key})
        answer = canary_stack.scenario.api.post(hook, content=body, headers=headers)
        assert answer.status_code >= 400


def _mistaken_sessions(canary_stack: CanaryStack) -> None:
    api = canary_stack.scenario.api
    for bad in (
        document(uuids={}),
        document(authorization_data=FOREIGN_SESSION, cookies=FOREIGN_SESSION),
        {FOREIGN_SESSION: document()},
        [document()],
        json.dumps(document()),
    ):
        assert api.put("/accounts/plain/session", json=bad).status_code == 422
    # Another device's session: the answer names the differing properties
    assert api.put("/accounts/plain/session", json=document()).status_code == 409
    half = f'{{"cookies": "{FOREIGN_SESSION}"'
    headers = {"Content-Type": "application/json"}
    assert api.put("/accounts/plain/session", content=half, headers=headers).status_code == 400
    assert api.put("/accounts/plain/session", content=half).status_code == 422


def _commands(canary_stack: CanaryStack, directory: Path) -> str:
    """The output of the commands, for good input and bad."""
    bad, good = directory / "bad.json", directory / "good.json"
    bad.write_text(f'{{"sessionid": "{FOREIGN_SESSION}", "password": "{SHOP_PASSWORD}"')
    good.write_text(json.dumps(document()))
    calls = [
        ("check",),
        ("check", "--json"),
        ("check", "--event", str(EVENTS / "checkout.session.completed.json")),
        ("doctor",),
        ("doctor", "--repair"),
        ("session", "show", "plain"),
        ("session", "show", "wrong"),
        ("session", "import", "plain", str(bad)),
        ("session", "import", "plain", str(good)),
        ("session", "import", "plain", str(good), "--reset-device"),
    ]
    printed = [canary_stack.command(*call) for call in calls]
    return "\n".join(f"{each.args} {each.stdout} {each.stderr}" for each in printed)


def _reprs(canary_stack: CanaryStack) -> str:
    """The `repr` of the objects in memory, as a debugger, a log line or an error would show it."""
    environ = {**canary_stack.stack.environ(), **canary_stack.variables}
    hidden = canary_stack.secrets["what_was_sent_by_mistake"]
    environ["REDIS_URL"] = f"redis://user:{hidden}@127.0.0.1:1/0"
    settings, config = load_settings(environ), load_config(Path(environ["HELIOGRAPH_CONFIG"]))
    duties = WorkerConfig.of(settings, config, environ)

    async def parts() -> list[str]:
        web = create_services(settings, config, environ)
        client = async_client(settings.redis_url, max_connections=1)
        session_store = SessionStore(client, derive_keys(settings.secret_keys[0]))
        gateways = [Gateway(account, session_store) for account in duties.accounts.values()]
        shown = [repr(part) for part in (web, client, session_store, *gateways)]
        await client.aclose()
        await web.close()
        return shown

    spoilt = [{**environ, name: hidden[:10]} for name in ("SECRET_KEY", "API_KEYS", "REDIS_URL")]
    shown = [repr(settings), repr(config), repr(duties), *map(repr, duties.accounts.values())]
    return "\n".join([*shown, *asyncio.run(parts()), *map(_refusal, spoilt)])


def _refusal(environ: Mapping[str, str]) -> str:
    with pytest.raises(SettingsError) as refused:
        load_settings(environ)
    return repr(refused.value)


def _every_get(canary_stack: CanaryStack) -> str:
    """The responses of every GET route for every id there is."""
    api = canary_stack.scenario.api
    api.put("/suppressions/left.alone").raise_for_status()
    jobs = _ids(api, "/jobs")
    known = {
        "job_id": jobs,
        "event_id": _ids(api, "/events"),
        "delivery_id": _ids(api, "/deliveries"),
        "name": list(ACCOUNTS),
        "username": ["left.alone"],
        "shortcode": ["DNZCmWE8gAB"],
        "handle": ["nobody.yet"],
        "operation_id": [_operation(api)],
    }
    assert all(known.values())
    paths = api.get("/openapi.json").raise_for_status().json()["paths"]
    routes = [path for path, methods in paths.items() if "get" in methods]
    answers = [_told(api, each) for route in routes for each in _addresses(route, known)]
    # 404: no such post; 409: no result before the job has ended; 422: no username given
    assert {answer.status_code for answer in answers} <= {200, 404, 409, 422}
    pages = [api.get(page) for page in ("/docs", "/openapi.json", "/redoc")]
    return "\n".join(f"{each.headers} {each.text}" for each in (*answers, *pages))


def _operation(api: httpx.Client) -> str:
    """Cancel what is scheduled; returns the operation."""
    order = {"kind": "dm", "account": next(iter(ACCOUNTS)), "to": "some.handle", "text": "Later!"}
    api.post("/jobs", json={**order, "delay_seconds": 3600}).raise_for_status()
    request = {"action": "cancel", "filter": {"status": ["scheduled"]}, "reason": "canaries"}
    token = api.post("/jobs:bulk", json=request).raise_for_status().json()["token"]
    operation = api.post("/jobs:bulk", json={**request, "token": token}).raise_for_status().json()
    return str(operation["id"])


def _told(api: httpx.Client, address: str) -> httpx.Response:
    """A response; of an endless one, the events so far."""
    if not address.endswith("/live"):
        return api.get(address)
    body = b""
    after = {"after": "0-0" if address == "/live" else "0"}
    # A new client: the hooks of the other one read every response to its end.
    with (
        httpx.Client(base_url=api.base_url, headers=api.headers, timeout=1) as listener,
        listener.stream("GET", address, params=after) as response,
        suppress(httpx.ReadTimeout),
    ):
        for piece in response.iter_raw():
            body += piece
    return httpx.Response(response.status_code, headers=response.headers, content=body)


def _addresses(route: str, known: Mapping[str, list[str]]) -> list[str]:
    """A route's URLs, with every known value of its parameter."""
    head, opened, rest = route.partition("{")
    if not opened:
        return [route]
    parameter, _, tail = rest.partition("}")
    return [f"{head}{quote(value, safe='')}{tail}" for value in known[parameter]]


def _ids(api: httpx.Client, path: str) -> list[str]:
    answer = api.get(path, params={"limit": 100}).raise_for_status()
    return [str(item["id"]) for item in answer.json()["items"]]


def test_a_callback_response_is_stored_without_the_signing_secret(
    canary_stack: CanaryStack,
) -> None:
    # Given a receiver whose error page shows its environment
    secret, stack = canary_stack.stack.callback_secret, canary_stack.stack
    stack.receiver.answer(status=500, body=f"<h1>Oops</h1> CRM_SECRET={secret}")
    received = _callback_of_a_new_job(canary_stack.scenario)
    # When the attempt has been recorded
    path = f"/deliveries/{received['headers']['webhook-id']}"
    shown = until(
        lambda: canary_stack.scenario.api.get(path).json()["attempt_log"], 20, "the attempt"
    )
    # Then neither the API nor the store shows the secret
    body = {"GET": json.dumps(shown), "store": dump_store(stack.redis_url)}
    assert leaks(body, [Canary("callback_secret", secret.removeprefix("whsec_"))]) == []


@pytest.mark.parametrize("offset", range(3))
def test_a_canary_is_found_however_it_is_written(offset: int) -> None:
    canary = Canary("it", new_secret())
    hidden = "?" * offset + canary.value
    written = {
        "plain": hidden,
        "in capitals": hidden.upper(),
        "in an address": quote(f"{hidden} &", safe=""),
        "in base64": base64.b64encode(f"{hidden}??".encode()).decode(),
        "in base64 for addresses": base64.urlsafe_b64encode(f"{hidden}?".encode()).decode(),
        "in hexadecimal": hidden.encode().hex(),
    }
    for place, text in written.items():
        assert leaks({place: text}, [canary]), place
    assert leaks({"nowhere": new_secret(10_000)}, [canary]) == []
