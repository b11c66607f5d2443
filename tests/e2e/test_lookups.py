"""Profiles and posts through real processes: two of the web, workers that die, a slow Instagram."""

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

#: In quiet hours all day long, which is no matter to look-ups.
ALWAYS_QUIET = {"quiet_hours": ["00:00", "23:59"], "timezone": "UTC"}
ACCOUNTS: dict[str, dict[str, Any]] = {
    "eyes": {"role": "read", **ALWAYS_QUIET},
    "writer": {"role": "write"},
}
#: What a dashboard may take for granted while Instagram hangs.
AT_ONCE_SECONDS = 2.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Two web processes, a worker, an account that reads and one that writes."""
    with run_fleet(tmp_path_factory.mktemp("lookups"), ACCOUNTS) as running:
        running.start("web", "web-2", {"PORT": str(free_port())})
        until(lambda: is_ready(second_of(running)), 20, "the second web process")
        yield running


@pytest.fixture
def scenario(stack: Stack, request: pytest.FixtureRequest) -> Iterator[Scenario]:
    """One test's way through it."""
    with own_scenario(stack, request.node.name) as made:
        yield made
        stack.fake_instagram.clear_faults()
        made.api.post("/accounts/eyes/resume")
        until(lambda: _nobody_looks(made), what="the end of all look-ups")


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    """Who asks while the test goes on."""
    with ThreadPoolExecutor(20) as pool:
        yield pool


@pytest.fixture
def cached_username(scenario: Scenario) -> str:
    """A profile of which the first web process has a copy."""
    name = new_username()
    assert scenario.api.get(f"/users/{name}", params={"wait": 25}).status_code == 200
    return name


@pytest.fixture
def hanging_lookups(stack: Stack) -> Iterator[None]:
    """Look-ups hang at Instagram, until the test has ended."""
    stack.fake_instagram.fault("usernameinfo", delay_seconds=30, times=None)
    yield
    hang_no_more(stack)


def _nobody_looks(scenario: Scenario) -> bool:
    """End what goes on: the next test's faults are for its own look-ups."""
    found = scenario.api.get("/jobs", params={"kind": "lookup", "limit": 200}).json()["items"]
    going_on = [each["id"] for each in found if each["finished_at"] is None]
    for job_id in going_on:
        scenario.api.post(f"/jobs/{job_id}/cancel")
    return not going_on


def second_of(stack: Stack) -> str:
    """Where the second web process listens."""
    log = (stack.directory / "web-2.log").read_text()
    ports = [line.partition("0.0.0.0:")[2].partition(" ")[0] for line in log.splitlines()]
    return f"http://127.0.0.1:{next(filter(None, ports), 0)}"


def calls(stack: Stack, call: str, name: str) -> int:
    """How often the fake Instagram was asked for a profile or a post."""
    return sum(name in each["path"] for each in stack.fake_instagram.log(call=call))


def ask(
    pool: ThreadPoolExecutor, scenario: Scenario, path: str, **params: Any
) -> Future[httpx.Response]:
    """Ask while the test goes on."""
    return pool.submit(scenario.api.get, path, params=params)


def lookups(scenario: Scenario, name: str) -> list[dict[str, Any]]:
    """The jobs that look or looked for a profile, newest first."""
    found = scenario.api.get("/jobs", params={"kind": "lookup", "limit": 200}).json()["items"]
    return [job for job in found if job["to"] == name]


def waiting(scenario: Scenario) -> list[str]:
    """The look-ups that have not ended."""
    found = scenario.api.get("/jobs", params={"kind": "lookup", "limit": 200}).json()["items"]
    return [job["id"] for job in found if job["finished_at"] is None]


def used(scenario: Scenario, account: str) -> int:
    """How many look-ups an account has been charged in this hour."""
    count: int = account_of(scenario, account)["budgets"]["lookup"]["per_hour"]["used"]
    return count


def test_two_hundred_who_ask_two_processes_for_one_name_cost_one_call(
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


def test_a_profile_and_a_post_are_told_as_documented(stack: Stack, scenario: Scenario) -> None:
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
    # Known content is not told again, by either process
    headers = {
        "If-None-Match": user.headers["ETag"],
        "Authorization": f"Bearer {stack.api_key}",
    }
    for url in (stack.url, second_of(stack)):
        assert httpx.get(f"{url}/users/glazes", headers=headers).status_code == 304


def test_whoever_was_looked_up_is_written_to_without_another_look(
    stack: Stack, scenario: Scenario
) -> None:
    name = new_username()
    assert scenario.api.get(f"/users/{name}").status_code == 200
    scenario.wait_final(create_job(scenario, "writer", to=name))
    assert calls(stack, "usernameinfo", name) == 1
    # The account that writes has looked for nobody
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
def test_what_instagram_says_is_told_to_who_waits(
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


def test_a_moments_trouble_is_tried_again_while_they_wait(stack: Stack, scenario: Scenario) -> None:
    name = new_username()
    stack.fake_instagram.fault("usernameinfo", error="server_error")
    assert scenario.api.get(f"/users/{name}", params={"wait": 20}).status_code == 200
    assert calls(stack, "usernameinfo", name) == 2


def test_a_login_that_fails_costs_no_look_up(stack: Stack, scenario: Scenario) -> None:
    assert scenario.api.get(f"/users/{new_username()}").status_code == 200
    before = used(scenario, "eyes")
    stack.fake_instagram.expire_session("eyes")
    stack.fake_instagram.fault("login", error="bad_password", times=None)
    # The session is found to be over by the call itself: that one was made
    assert scenario.api.get(f"/users/{new_username()}").status_code == 503
    after = used(scenario, "eyes")
    assert before < after
    # From here on there is no session, and nothing is asked for
    for _ in range(2):
        post(scenario, "/accounts/eyes/resume")
        assert scenario.api.get(f"/users/{new_username()}").status_code == 503
    assert used(scenario, "eyes") == after
    stack.fake_instagram.clear_faults()
    post(scenario, "/accounts/eyes/resume")
    assert scenario.api.get(f"/users/{new_username()}", params={"wait": 20}).status_code == 200


def test_a_worker_killed_in_the_middle_of_a_look_up_costs_a_lease(
    stack: Stack, scenario: Scenario, executor: ThreadPoolExecutor
) -> None:
    name = new_username()
    stack.fake_instagram.fault("usernameinfo", delay_seconds=30)
    asked = ask(executor, scenario, f"/users/{name}", wait=25)
    until(lambda: calls(stack, "usernameinfo", name), 20, "the call")
    stack.processes["worker"].kill()
    stack.start("worker")
    assert asked.result(30).status_code == 200
    assert calls(stack, "usernameinfo", name) == 2
    assert len(lookups(scenario, name)) == 1


def test_while_instagram_hangs_everything_elseis_ready(
    stack: Stack,
    scenario: Scenario,
    executor: ThreadPoolExecutor,
    cached_username: str,
    hanging_lookups: None,
) -> None:
    # Given a copy, and look-ups that hang
    names = [new_username() for _ in range(10)]
    asked = [ask(executor, scenario, f"/users/{name}", wait=25) for name in names]
    until(lambda: any(calls(stack, "usernameinfo", name) for name in names), 20, "the call")
    # When others come meanwhile
    hook, slowest = f"{stack.url}/webhooks/stripe", 0.0
    for number in range(20):
        began = time.monotonic()
        assert scenario.api.get(f"/users/{cached_username}").status_code == 200
        assert scenario.api.get("/healthz").status_code == 200
        document = event("checkout.session.completed", id=f"evt_{scenario.name}_{number}")
        document["data"]["object"]["payment_intent"] = f"pi_{scenario.name}_{number}"
        assert send(hook, stack.webhook_secret, document).status == 202
        slowest = max(slowest, time.monotonic() - began)
    # Then they are answered at once, and nobody who waits has been let go yet
    assert slowest < AT_ONCE_SECONDS
    assert not any(each.done() for each in asked)
    # And who does not wait is told where it goes on
    answer = scenario.api.get(f"/users/{names[0]}", params={"wait": 0})
    assert answer.status_code == 202
    hang_no_more(stack)
    assert {each.result(40).status_code for each in asked} <= {200, 202}


def test_a_web_process_that_ends_lets_go_of_who_waits(
    stack: Stack, scenario: Scenario, executor: ThreadPoolExecutor, hanging_lookups: None
) -> None:
    # Given who waits for one, for several, and for lines at a web process of their own
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    names = [new_username() for _ in range(3)]
    several = {"username": names, "wait": "25"}
    with (
        _a_web_process(stack) as (process, url),
        httpx.Client(base_url=url, headers=headers, timeout=40) as client,
    ):
        one = executor.submit(client.get, f"/users/{new_username()}", params={"wait": 25})
        all_of_them = executor.submit(client.get, "/users", params=several)
        until(lambda: len(waiting(scenario)) == len(names) + 1, 20, "the look-ups")
        lines = {"Accept": "application/x-ndjson"}
        with client.stream("GET", "/users", params=several, headers=lines) as told:
            # When it is told to end
            began = time.monotonic()
            process.signal(signal.SIGTERM)
            # Then they are told at once where it goes on
            assert len(list(told.iter_lines())) == len(names)
        assert one.result(30).status_code == 202
        items = all_of_them.result(30).json()["items"]
        assert {each["error"]["code"] for each in items} == {"pending"}
        assert process.stop(20) in (0, -15, 143)
        assert time.monotonic() - began < 10
        assert "Traceback" not in process.log.read_text()


def test_a_listener_who_leaves_in_the_middle_of_lines_leaves_nothing(
    stack: Stack, scenario: Scenario, cached_username: str
) -> None:
    cold = [new_username() for _ in range(5)]
    stack.fake_instagram.fault("usernameinfo", delay_seconds=3)
    params = {"username": [cached_username, *cold], "wait": 20}
    headers = {"Accept": "application/x-ndjson"}
    with scenario.api.stream("GET", "/users", params=params, headers=headers) as answer:  # type: ignore[arg-type]
        assert json.loads(next(answer.iter_lines()))["username"] == cached_username
    # The look-ups go on for whoever comes next, and the log says nothing
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


def hang_no_more(stack: Stack) -> None:
    """End the calls that hang with the worker that makes them."""
    stack.fake_instagram.clear_faults()
    stack.processes["worker"].kill()
    stack.start("worker")


@contextmanager
def _a_web_process(stack: Stack) -> Iterator[tuple[Any, str]]:
    port = free_port()
    process = stack.start("web", f"web-{os.urandom(2).hex()}", {"PORT": str(port)})
    url = f"http://127.0.0.1:{port}"
    until(lambda: is_ready(url), 20, "the web process")
    try:
        yield process, url
    finally:
        process.stop()
