"""Lookups through real processes: two web processes, killed workers, a slow Instagram."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from deploy.local.sender import event, send
from deploy.local.stack import Stack
from deploy.local.wait import free_port, is_ready, until
from tests.support.doctor import run_doctor
from tests.support.fleet import account_of, create_job, own_scenario, post, run_fleet
from tests.support.lookups import new_username
from tests.support.scenario import Scenario

#: Quiet hours all day long, which do not apply to lookups.
ALWAYS_QUIET = {"quiet_hours": ["00:00", "23:59"], "timezone": "UTC"}
ACCOUNTS: dict[str, dict[str, Any]] = {
    "eyes": {"role": "read", **ALWAYS_QUIET},
    "writer": {"role": "write"},
}
#: A bound on the answers of a dashboard while Instagram hangs.
MAX_ANSWER_SECONDS = 2.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Two web processes, a worker, an account that reads and one that writes."""
    with run_fleet(tmp_path_factory.mktemp("lookups"), ACCOUNTS) as running:
        running.start("web", "web-2", {"PORT": str(free_port())})
        until(lambda: is_ready(second_of(running)), 20, "the second web process")
        yield running


@pytest.fixture
def scenario(stack: Stack, request: pytest.FixtureRequest) -> Iterator[Scenario]:
    """One test's lookups on it."""
    with own_scenario(stack, request.node.name) as made:
        yield made
        stack.fake_instagram.clear_faults()
        made.api.post("/accounts/eyes/resume")
        until(lambda: _cancel_lookups(made), what="the end of all lookups")


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    """Threads for requests that run while the test continues."""
    with ThreadPoolExecutor(20) as pool:
        yield pool


@pytest.fixture
def cached_username(scenario: Scenario) -> str:
    """A profile that the first web process has cached."""
    name = new_username()
    assert scenario.api.get(f"/users/{name}", params={"wait": 25}).status_code == 200
    return name


@pytest.fixture
def hanging_lookups(stack: Stack) -> Iterator[None]:
    """Lookups hang at Instagram until the test has ended."""
    stack.fake_instagram.fault("usernameinfo", delay_seconds=30, times=None)
    yield
    end_hanging_calls(stack)


def _cancel_lookups(scenario: Scenario) -> bool:
    """Cancel unfinished lookups: the next test's faults are for its own."""
    found = scenario.api.get("/jobs", params={"kind": "lookup", "limit": 200}).json()["items"]
    going_on = [each["id"] for each in found if each["finished_at"] is None]
    for job_id in going_on:
        scenario.api.post(f"/jobs/{job_id}/cancel")
    return not going_on


def second_of(stack: Stack) -> str:
    """The second web process' URL."""
    log = (stack.directory / "web-2.log").read_text()
    ports = [line.partition("0.0.0.0:")[2].partition(" ")[0] for line in log.splitlines()]
    return f"http://127.0.0.1:{next(filter(None, ports), 0)}"


def calls(stack: Stack, call: str, name: str) -> int:
    """How many calls about a profile or post the fake Instagram has logged."""
    return sum(name in each["path"] for each in stack.fake_instagram.log(call=call))


def ask(
    pool: ThreadPoolExecutor, scenario: Scenario, path: str, **params: Any
) -> Future[httpx.Response]:
    """Send a GET request while the test continues."""
    return pool.submit(scenario.api.get, path, params=params)


def lookups(scenario: Scenario, name: str) -> list[dict[str, Any]]:
    """The lookup jobs of a profile, newest first."""
    found = scenario.api.get("/jobs", params={"kind": "lookup", "limit": 200}).json()["items"]
    return [job for job in found if job["to"] == name]


def waiting(scenario: Scenario) -> list[str]:
    """The unfinished lookups."""
    found = scenario.api.get("/jobs", params={"kind": "lookup", "limit": 200}).json()["items"]
    return [job["id"] for job in found if job["finished_at"] is None]


def used(scenario: Scenario, account: str) -> int:
    """How many lookups count against an account's hour."""
    count: int = account_of(scenario, account)["budgets"]["lookup"]["per_hour"]["used"]
    return count


def test_two_hundred_requests_to_two_processes_for_one_name_cost_one_call(
    stack: Stack, scenario: Scenario
) -> None:
    name, before = new_username(), used(scenario, "eyes")
    stack.fake_instagram.fault("usernameinfo", delay_seconds=1)

    async def all_at_once() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=200)
        headers = {"Authorization": f"Bearer {stack.api_key}"}
        async with httpx.AsyncClient(headers=headers, timeout=30, limits=limits) as client:
            urls = [stack.url, second_of(stack)] * 100
            return await asyncio.gather(*(client.get(f"{url}/users/{name}") for url in urls))

    answers = asyncio.run(all_at_once())
    assert {(each.status_code, each.text) for each in answers} == {(200, answers[0].text)}
    assert answers[0].json()["username"] == name
    assert calls(stack, "usernameinfo", name) == 1
    assert len(lookups(scenario, name)) == 1
    assert used(scenario, "eyes") == before + 1


def test_a_profile_and_a_post_are_returned_as_documented(stack: Stack, scenario: Scenario) -> None:
    pk = stack.fake_instagram.add_user("glazes", full_name="Glazes", followers=2450, following=3)
    user = scenario.api.get("/users/Glazes")
    assert {key: user.json()[key] for key in ("pk", "username", "full_name", "follower_count")} == {
        "pk": pk,
        "username": "glazes",
        "full_name": "Glazes",
        "follower_count": 2450,
    }
    code = stack.fake_instagram.add_media("glazes", 3_700_000_000_000_000_777, caption="New!")
    post = scenario.api.get(f"/posts/{code}").json()
    assert (post["pk"], post["code"], post["kind"]) == ("3700000000000000777", code, "photo")
    assert (post["caption"], post["owner"]["username"]) == ("New!", "glazes")
    # Content that the client has is not sent again, by either process
    headers = {
        "If-None-Match": user.headers["ETag"],
        "Authorization": f"Bearer {stack.api_key}",
    }
    for url in (stack.url, second_of(stack)):
        assert httpx.get(f"{url}/users/glazes", headers=headers).status_code == 304


def test_a_dm_to_a_looked_up_user_needs_no_other_lookup(stack: Stack, scenario: Scenario) -> None:
    name = new_username()
    assert scenario.api.get(f"/users/{name}").status_code == 200
    scenario.wait_final(create_job(scenario, "writer", to=name))
    assert calls(stack, "usernameinfo", name) == 1
    # The account that writes has done no lookup
    assert not [each for each in stack.fake_instagram.log(account="writer") if name in each["path"]]


@pytest.mark.parametrize(
    ("fault", "status", "code", "reason"),
    [
        ("user_not_found", 404, "not_found", "user_not_found"),
        ("user_unavailable", 404, "not_found", "user_not_found"),
        ("age_restricted", 403, "private", "age_restricted"),
        ("private_account", 403, "private", "private_account"),
        ("please_wait", 429, "rate_limited", "please_wait"),
        ("throttled", 429, "rate_limited", "rate_limited"),
        ("challenge_required", 503, "account_held", "challenge_required"),
        ("checkpoint_required", 503, "account_held", "checkpoint_required"),
    ],
)
def test_an_instagram_error_is_returned_to_waiting_callers(
    stack: Stack, scenario: Scenario, fault: str, status: int, code: str, reason: str
) -> None:
    name = new_username()
    stack.fake_instagram.fault("usernameinfo", error=fault)
    began = time.monotonic()
    answer = scenario.api.get(f"/users/{name}", params={"wait": 20})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["reason"]) == (status, code, reason)
    assert time.monotonic() - began < 15
    if status == 429:
        assert int(answer.headers["Retry-After"]) > 600
        assert error["until"] is not None
    if status == 503:
        assert error["since"] is not None
    assert calls(stack, "usernameinfo", name) == 1


def test_a_temporary_error_is_retried_while_callers_wait(stack: Stack, scenario: Scenario) -> None:
    name = new_username()
    stack.fake_instagram.fault("usernameinfo", error="server_error")
    assert scenario.api.get(f"/users/{name}", params={"wait": 20}).status_code == 200
    assert calls(stack, "usernameinfo", name) == 2


def test_a_failed_login_costs_no_lookup(stack: Stack, scenario: Scenario) -> None:
    assert scenario.api.get(f"/users/{new_username()}").status_code == 200
    before = used(scenario, "eyes")
    stack.fake_instagram.expire_session("eyes")
    stack.fake_instagram.fault("login", error="bad_password", times=None)
    # The call itself finds out that the session has expired: that call was made
    assert scenario.api.get(f"/users/{new_username()}").status_code == 503
    after = used(scenario, "eyes")
    assert before < after
    # From here on there is no session, and no call
    for _ in range(2):
        post(scenario, "/accounts/eyes/resume")
        assert scenario.api.get(f"/users/{new_username()}").status_code == 503
    assert used(scenario, "eyes") == after
    stack.fake_instagram.clear_faults()
    post(scenario, "/accounts/eyes/resume")
    assert scenario.api.get(f"/users/{new_username()}", params={"wait": 20}).status_code == 200


def test_a_worker_killed_during_a_lookup_delays_it_by_a_lease(
    stack: Stack, scenario: Scenario, executor: ThreadPoolExecutor
) -> None:
    name = new_username()
    stack.fake_instagram.fault("usernameinfo", delay_seconds=30)
    pending = ask(executor, scenario, f"/users/{name}", wait=25)
    until(lambda: calls(stack, "usernameinfo", name), 20, "the call")
    stack.processes["worker"].kill()
    stack.start("worker")
    assert pending.result(30).status_code == 200
    assert calls(stack, "usernameinfo", name) == 2
    assert len(lookups(scenario, name)) == 1


def test_while_instagram_hangs_everything_else_answers(
    stack: Stack,
    scenario: Scenario,
    executor: ThreadPoolExecutor,
    cached_username: str,
    hanging_lookups: None,
) -> None:
    # Given a cached profile, and lookups that hang
    names = [new_username() for _ in range(10)]
    pending = [ask(executor, scenario, f"/users/{name}", wait=25) for name in names]
    until(lambda: any(calls(stack, "usernameinfo", name) for name in names), 20, "the call")
    # When other requests arrive
    hook, slowest = f"{stack.url}/webhooks/stripe", 0.0
    for number in range(20):
        began = time.monotonic()
        assert scenario.api.get(f"/users/{cached_username}").status_code == 200
        assert scenario.api.get("/healthz").status_code == 200
        document = event("checkout.session.completed", id=f"evt_{scenario.name}_{number}")
        document["data"]["object"]["payment_intent"] = f"pi_{scenario.name}_{number}"
        assert send(hook, stack.webhook_secret, document).status == 202
        slowest = max(slowest, time.monotonic() - began)
    # Then they are answered at once, and the waiting ones still wait
    assert slowest < MAX_ANSWER_SECONDS
    assert not any(each.done() for each in pending)
    # And a caller that does not wait gets the job's location
    answer = scenario.api.get(f"/users/{names[0]}", params={"wait": 0})
    assert answer.status_code == 202
    end_hanging_calls(stack)
    assert {each.result(40).status_code for each in pending} <= {200, 202}


def test_a_stopping_web_process_answers_waiting_callers(
    stack: Stack, scenario: Scenario, executor: ThreadPoolExecutor, hanging_lookups: None
) -> None:
    # Given callers that wait for one user, for several, and for NDJSON lines
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    names = [new_username() for _ in range(3)]
    several = {"username": names, "wait": "25"}
    with (
        _another_web_process(stack) as (process, url),
        httpx.Client(base_url=url, headers=headers, timeout=40) as client,
    ):
        one = executor.submit(client.get, f"/users/{new_username()}", params={"wait": 25})
        all_of_them = executor.submit(client.get, "/users", params=several)
        until(lambda: len(waiting(scenario)) == len(names) + 1, 20, "the lookups")
        lines = {"Accept": "application/x-ndjson"}
        with client.stream("GET", "/users", params=several, headers=lines) as stream:
            # When the process is told to stop
            began = time.monotonic()
            process.signal(signal.SIGTERM)
            # Then they get the jobs' locations at once
            assert len(list(stream.iter_lines())) == len(names)
        assert one.result(30).status_code == 202
        items = all_of_them.result(30).json()["items"]
        assert {each["error"]["code"] for each in items} == {"pending"}
        assert process.stop(20) in (0, -15, 143)
        assert time.monotonic() - began < 10
        assert "Traceback" not in process.log.read_text()


def test_a_client_that_disconnects_during_ndjson_leaves_no_errors(
    stack: Stack, scenario: Scenario, cached_username: str
) -> None:
    cold = [new_username() for _ in range(5)]
    stack.fake_instagram.fault("usernameinfo", delay_seconds=3)
    params = {"username": [cached_username, *cold], "wait": 20}
    headers = {"Accept": "application/x-ndjson"}
    with scenario.api.stream("GET", "/users", params=params, headers=headers) as answer:  # type: ignore[arg-type]
        assert json.loads(next(answer.iter_lines()))["username"] == cached_username
    # The lookups continue for the next caller, and nothing is logged
    for name in cold:
        assert scenario.api.get(f"/users/{name}", params={"wait": 20}).status_code == 200
    log = (stack.directory / "web.log").read_text()
    assert "never awaited" not in log
    assert "Traceback" not in log
    assert "exception was never retrieved" not in log


def test_metrics_audit_and_doctor_account_for_every_lookup(
    stack: Stack, scenario: Scenario
) -> None:
    # Given a lookup that succeeds, one that fails, and an account that was resumed
    began = datetime.now().astimezone() - timedelta(seconds=1)
    assert scenario.api.get(f"/users/{new_username()}", params={"wait": 25}).status_code == 200
    stack.fake_instagram.fault("usernameinfo", error="user_not_found")
    assert scenario.api.get(f"/users/{new_username()}", params={"wait": 25}).status_code == 404
    post(scenario, "/accounts/eyes/resume")
    # Then the metrics count both
    counted = (
        'heliograph_jobs_ended_total{kind="lookup",status="succeeded"}',
        'heliograph_attempts_total{kind="lookup",outcome="failed"}',
        'heliograph_jobs_by_kind{kind="lookup"}',
    )
    until(lambda: _has_all(scenario.api.get("/metrics").text, counted), 20, "the metrics")
    # And the audit has the resume, and the doctor finds nothing
    audited = scenario.api.get("/audit", params={"account": "eyes"}).json()["items"]
    assert any(datetime.fromisoformat(each["at"]) >= began for each in audited)
    assert run_doctor(stack) == 0


def _has_all(text: str, parts: Iterable[str]) -> bool:
    return all(part in text for part in parts)


def end_hanging_calls(stack: Stack) -> None:
    """End the hanging calls by killing the worker that makes them."""
    stack.fake_instagram.clear_faults()
    stack.processes["worker"].kill()
    stack.start("worker")


@contextmanager
def _another_web_process(stack: Stack) -> Iterator[tuple[Any, str]]:
    port = free_port()
    process = stack.start("web", f"web-{os.urandom(2).hex()}", {"PORT": str(port)})
    url = f"http://127.0.0.1:{port}"
    until(lambda: is_ready(url), 20, "the web process")
    try:
        yield process, url
    finally:
        process.stop()
