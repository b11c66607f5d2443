"""What each Instagram error does to its account, and that it does not affect others."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from deploy.local.stack import Stack
from deploy.local.wait import free_port
from tests.support.fleet import (
    PASSWORD,
    WRITES,
    account_of,
    call_count,
    create_job,
    own_scenario,
    post,
    run_fleet,
    seconds_between,
    wait_kept,
    written_texts,
)
from tests.support.scenario import Scenario

HOUR = 3600

#: The fake Instagram's name of an error, the kind of job that meets it, its code and the cooldown's
#: length.
RESTS = [
    ("please_wait", "dm", "please_wait", HOUR),
    ("please_wait", "comment", "please_wait", HOUR),
    ("throttled", "dm", "rate_limited", HOUR / 4),
    ("throttled", "comment", "rate_limited", HOUR / 4),
    ("rate_limit", "dm", "rate_limit_error", HOUR),
    ("sentry_block", "dm", "sentry_block", 24 * HOUR),
]
#: How Instagram redirects to its terms: the private API has no specific reply for it.
TERMS = {
    "status": 400,
    "body": {
        "message": "challenge_required",
        "challenge": {"url": "https://i.instagram.com/terms/unblock/", "lock": True},
        "status": "fail",
    },
}
#: The fake Instagram's reply, the kind of job that meets it, and why the account is held.
HOLDS: list[tuple[dict[str, Any], str, str]] = [
    ({"error": "challenge_required"}, "dm", "challenge_required"),
    ({"error": "challenge_required"}, "comment", "challenge_required"),
    ({"error": "checkpoint_required"}, "dm", "checkpoint_required"),
    ({"error": "consent_required"}, "dm", "consent_required"),
    ({"error": "geoblock_required"}, "comment", "geoblock_required"),
    ({"error": "account_suspended"}, "dm", "account_suspended"),
    ({"error": "account_suspended"}, "comment", "account_suspended"),
    (TERMS, "dm", "challenge_required"),
]
BYSTANDER = "bystander"
ACCOUNTS = [
    BYSTANDER,
    *(f"rest{number}" for number in range(len(RESTS))),
    *(f"hold{number}" for number in range(len(HOLDS))),
    *("blocked_dm", "blocked_comment", "over_dm", "over_comment"),
    *("wrong_password", "sealed", "new_credentials", "polite", "other_polite"),
]


class RefusingProxy(ThreadingHTTPServer):
    """A proxy that refuses every connection.

    Parameters:
      status: What it answers.
    """

    daemon_threads = True

    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), _NoEntry)
        self.status = status
        self.requested: list[str] = []

    @property
    def url(self) -> str:
        """The proxy's URL, with credentials."""
        return f"http://user:{secrets.token_hex(4)}@127.0.0.1:{self.server_port}"


class _NoEntry(BaseHTTPRequestHandler):
    server: RefusingProxy

    def do_CONNECT(self) -> None:
        self.server.requested.append(self.path)
        self.send_response(self.server.status)
        self.send_header("Proxy-Authenticate", 'Basic realm="door"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Log nothing: `requested` counts."""


@contextmanager
def refusing_proxy(status: int) -> Iterator[RefusingProxy]:
    """Run one."""
    with RefusingProxy(status) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def refusing_proxies() -> Iterator[dict[str, RefusingProxy]]:
    """The refusing proxies, by the account that uses each."""
    with refusing_proxy(407) as stranger, refusing_proxy(403) as unwanted:
        yield {"stranger": stranger, "unwanted": unwanted}


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, refusing_proxies: dict[str, RefusingProxy]
) -> Iterator[Stack]:
    """An account for every kind of trouble, and one without."""
    accounts: dict[str, dict[str, Any]] = {name: {} for name in ACCOUNTS}
    accounts |= {name: {"proxy": proxy.url} for name, proxy in refusing_proxies.items()}
    accounts["lonely"] = {"proxy": f"http://127.0.0.1:{free_port()}"}
    with run_fleet(tmp_path_factory.mktemp("errors"), accounts) as running:
        yield running


@pytest.fixture
def scenario(stack: Stack, request: pytest.FixtureRequest) -> Iterator[Scenario]:
    """One test's jobs on it."""
    with own_scenario(stack, request.node.name) as made:
        yield made


def others_still_work(scenario: Scenario, kind: str = "dm") -> None:
    """Do a job on an account without trouble, which also shows that the worker runs."""
    ended = scenario.wait_final(
        create_job(scenario, BYSTANDER, kind, text=f"{scenario.name} bystander")
    )
    assert ended["status"] == "succeeded"


@pytest.mark.parametrize("number", range(len(RESTS)), ids=lambda at: "-".join(RESTS[at][:2]))
def test_a_cooldown_delays_all_jobs_of_the_account_with_a_reason_and_a_time(
    scenario: Scenario, number: int
) -> None:
    error, kind, code, seconds = RESTS[number]
    account = f"rest{number}"
    # Given an account that Instagram asks to slow down
    scenario.stack.fake_instagram.fault(WRITES[kind], error=error, account=account)
    first = wait_kept(scenario, create_job(scenario, account, kind), "waiting", code)
    seen = call_count(scenario, account)
    # When it gets more jobs
    more = [create_job(scenario, account, each) for each in WRITES]
    jobs = [first, *(wait_kept(scenario, job_id, "waiting", code) for job_id in more)]
    others_still_work(scenario, kind)
    # Then all of them wait for the same moment, and no call is made
    for job in jobs:
        ahead = seconds_between(first["created_at"], job["wait"]["until"])
        assert abs(ahead - seconds) < 30, job
    assert (call_count(scenario, account), written_texts(scenario, account)) == (seen, [])
    shown = account_of(scenario, account)
    assert shown["status"] == "cooling_down"
    (cooldown,) = shown["cooldowns"]
    assert (cooldown["kind"], cooldown["reason"]) == ("*", code)


@pytest.mark.parametrize(("kind", "other"), [("dm", "comment"), ("comment", "dm")])
def test_a_block_of_one_kind_of_action_does_not_affect_the_other_kind(
    scenario: Scenario, kind: str, other: str
) -> None:
    account = f"blocked_{kind}"
    scenario.stack.fake_instagram.fault(WRITES[kind], error="feedback_required", account=account)
    # Given one job that met the block and one of its kind after it
    first = wait_kept(scenario, create_job(scenario, account, kind), "waiting", "feedback_required")
    second = wait_kept(
        scenario, create_job(scenario, account, kind), "waiting", "feedback_required"
    )
    # When a job of the other kind is created
    ended = scenario.wait_final(create_job(scenario, account, other, text=f"{scenario.name} other"))
    # Then it is done, and so is one of the blocked kind by another account
    assert ended["status"] == "succeeded"
    assert written_texts(scenario, account) == [f"{scenario.name} other"]
    others_still_work(scenario, kind)
    for job in (first, second):
        assert scenario.job(job["id"])["status"] == "waiting"
        ahead = seconds_between(first["created_at"], job["wait"]["until"])
        assert abs(ahead - 24 * HOUR) < 30, job
    (cooldown,) = account_of(scenario, account)["cooldowns"]
    assert (cooldown["kind"], cooldown["reason"]) == (kind, "feedback_required")


@pytest.mark.parametrize(
    "number", range(len(HOLDS)), ids=lambda at: f"{HOLDS[at][0].get('error', 'terms')}-{at}"
)
def test_an_error_that_needs_a_person_stops_the_account_until_it_is_resumed(
    scenario: Scenario, number: int
) -> None:
    refusal, kind, code = HOLDS[number]
    account = f"hold{number}"
    texts = [f"{scenario.name} {which}" for which in range(4)]
    # Given a job that met the error
    scenario.stack.fake_instagram.fault(WRITES[kind], account=account, **refusal)
    first = create_job(scenario, account, kind, text=texts[0])
    wait_kept(scenario, first, "held", code)
    seen = call_count(scenario, account)
    # When more jobs are created
    kinds = ("dm", "comment", "dm")
    more = [
        create_job(scenario, account, each, text=text)
        for each, text in zip(kinds, texts[1:], strict=True)
    ]
    for job_id in more:
        wait_kept(scenario, job_id, "held", code)
    others_still_work(scenario)
    # Then the account makes no call
    shown = account_of(scenario, account)
    assert (shown["status"], shown["hold"]["reason"]) == ("held", code)
    assert call_count(scenario, account) == seen
    # When a person resumes it, then its jobs continue in order
    post(scenario, f"/accounts/{account}/resume")
    assert {scenario.wait_final(job_id)["status"] for job_id in [first, *more]} == {"succeeded"}
    assert written_texts(scenario, account) == texts
    assert scenario.job(first)["attempts"] == 1


def test_a_wrong_password_is_sent_once_and_then_the_account_is_held(scenario: Scenario) -> None:
    account, fake_instagram = "wrong_password", scenario.stack.fake_instagram
    fake_instagram.add_account(account, "another password")
    # Given several jobs of an account whose password is wrong
    jobs = [create_job(scenario, account, text=f"{scenario.name} {which}") for which in range(3)]
    for job_id in jobs:
        wait_kept(scenario, job_id, "held", "bad_password")
    others_still_work(scenario)
    # Then there was one login: the current flow, and the old one, which names the reason
    logins = [each for each in fake_instagram.logins() if each["account"] == account]
    assert [each["via"] for each in logins] == ["caa", "legacy"]
    assert {each["outcome"] for each in logins} == {"bad_password"}
    # When it is corrected, then the jobs continue in order from the same device
    fake_instagram.add_account(account, PASSWORD)
    post(scenario, f"/accounts/{account}/resume")
    assert {scenario.wait_final(job_id)["status"] for job_id in jobs} == {"succeeded"}
    assert written_texts(scenario, account) == [f"{scenario.name} {which}" for which in range(3)]
    assert len([each for each in fake_instagram.devices() if each["account"] == account]) == 1


@pytest.mark.parametrize(
    ("account", "code"), [("stranger", "proxy_auth_required"), ("unwanted", "proxy_refused")]
)
def test_a_proxy_that_refuses_connections_holds_the_account_and_is_not_bypassed(
    scenario: Scenario, refusing_proxies: dict[str, RefusingProxy], account: str, code: str
) -> None:
    # Given an account that has never logged in, behind such a proxy
    jobs = [create_job(scenario, account, kind) for kind in WRITES]
    # Then it is held, and the reason is the proxy's answer
    for job_id in jobs:
        wait_kept(scenario, job_id, "held", code)
    assert account_of(scenario, account)["hold"]["reason"] == code
    # And there was one request to the proxy, and none around it
    assert len(refusing_proxies[account].requested) == 1
    assert call_count(scenario, account) == 0


def test_a_proxy_that_rejects_its_credentials_holds_a_logged_in_account(
    scenario: Scenario,
) -> None:
    account, fake_instagram = "new_credentials", scenario.stack.fake_instagram
    assert scenario.wait_final(create_job(scenario, account))["status"] == "succeeded"
    # When the proxy's credentials have changed
    fake_instagram.proxy_credentials("user:changed")
    try:
        job_id = create_job(scenario, account, text=f"{scenario.name} later")
        wait_kept(scenario, job_id, "held", "proxy_auth_required")
        assert fake_instagram.connects()[-1]["outcome"] == "407"
    finally:
        fake_instagram.proxy_credentials(None)
    # And are corrected, then the job continues; it was sent once
    post(scenario, f"/accounts/{account}/resume")
    assert scenario.wait_final(job_id)["status"] == "succeeded"
    assert len(scenario.dms(f"{scenario.name} later")) == 1


def test_an_unreachable_proxy_is_waited_for_and_not_bypassed(
    scenario: Scenario,
) -> None:
    job = wait_kept(scenario, create_job(scenario, "lonely"), "waiting", "connection_failed")
    assert job["wait"]["until"] > job["created_at"]
    assert call_count(scenario, "lonely") == 0


@pytest.mark.parametrize("kind", list(WRITES))
def test_an_expired_session_is_renewed_once_and_then_the_account_is_held(
    scenario: Scenario, kind: str
) -> None:
    account, fake_instagram = f"over_{kind}", scenario.stack.fake_instagram

    def logins() -> list[str]:
        return [each["outcome"] for each in fake_instagram.logins() if each["account"] == account]

    assert scenario.wait_final(create_job(scenario, account, kind))["status"] == "succeeded"
    # When Instagram rejects the session, then the job continues with a new one
    fake_instagram.fault(WRITES[kind], error="login_required", account=account)
    second = scenario.wait_final(
        create_job(scenario, account, kind, text=f"{scenario.name} second")
    )
    assert (second["status"], second["attempts"]) == ("succeeded", 1)
    assert logins() == ["ok", "ok"]
    # When it does so again on the same day, then there is no login
    fake_instagram.fault(WRITES[kind], error="login_required", account=account)
    wait_kept(scenario, create_job(scenario, account, kind), "held", "relogin_exceeded")
    assert logins() == ["ok", "ok"]
    assert written_texts(scenario, account).count(f"{scenario.name} second") == 1
    assert len([each for each in fake_instagram.devices() if each["account"] == account]) == 1


def test_a_session_that_cannot_be_decrypted_holds_the_account_and_mints_no_device(
    scenario: Scenario,
) -> None:
    account, stack = "sealed", scenario.stack
    assert scenario.wait_final(create_job(scenario, account))["status"] == "succeeded"
    seen = (
        call_count(scenario, account),
        stack.fake_instagram.devices(),
        stack.fake_instagram.logins(),
    )
    # When a worker starts with another SECRET_KEY
    assert stack.processes["worker"].stop() == 0
    stack.start("worker", environ={"SECRET_KEY": secrets.token_hex(32)})
    jobs = [create_job(scenario, account, kind, text=f"{scenario.name} {kind}") for kind in WRITES]
    for job_id in jobs:
        wait_kept(scenario, job_id, "held", "session_unreadable")
    # Then it makes no call, creates no device and does not log in
    assert (
        call_count(scenario, account),
        stack.fake_instagram.devices(),
        stack.fake_instagram.logins(),
    ) == seen
    # When the key is back and a person has resumed the account, then the old session is used
    assert stack.processes["worker"].stop() == 0
    stack.start("worker")
    post(scenario, f"/accounts/{account}/resume")
    assert {scenario.wait_final(job_id)["status"] for job_id in jobs} == {"succeeded"}
    assert stack.fake_instagram.logins() == seen[2]


def test_a_recipient_without_message_requests_is_suppressed_from_then_on(
    scenario: Scenario,
) -> None:
    account, fake_instagram = "polite", scenario.stack.fake_instagram
    pk = fake_instagram.add_user("closed.door", takes_requests=False)
    # Given a job to a recipient who does not accept message requests
    job = scenario.wait_final(create_job(scenario, account, to="closed.door"))
    assert (job["status"], job["error"]["code"]) == ("failed", "message_requests_disabled")
    params = {"account": account}
    entry = scenario.api.get("/suppressions/closed.door", params=params).raise_for_status().json()
    assert entry["reason"] == "message_requests_disabled"
    seen = call_count(scenario, account)
    # When the next job is created, by name or by id, then it is rejected at creation
    for to in ("closed.door", "@Closed.Door", pk):
        again = scenario.job(create_job(scenario, account, to=to))
        assert (again["status"], again["error"]["code"]) == ("failed", "recipient_suppressed")
        assert scenario.wait_callbacks(again["id"])[0]["verified"]
    assert call_count(scenario, account) == seen
    # And that applies to this pair only: not to other recipients or accounts
    assert scenario.wait_final(create_job(scenario, account))["status"] == "succeeded"
    other = scenario.wait_final(create_job(scenario, "other_polite", to="closed.door"))
    assert other["error"]["code"] == "message_requests_disabled"
