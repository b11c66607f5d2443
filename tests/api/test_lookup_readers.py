"""Which account does a lookup, and its limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from deploy.local.wait import until
from service.jobs.account_effect import AccountEffect
from service.jobs.model import Status
from tests.support.config_file import to_toml
from tests.support.ledger import HOUR, SECOND, LedgerHarness
from tests.support.lookups import (
    cache_profile,
    error_of,
    finish_lookup,
    list_jobs,
    new_username,
    pending_lookups,
)
from tests.support.web import WebHarness, connect, run_web


def configured(*accounts: tuple[str, str], budget: int = 60) -> str:
    """A heliograph.toml with these accounts and roles."""
    pacing = {"lookup": {"gap_seconds": [1, 1], "per_hour": budget, "per_day": 1000}}
    tables = {
        name: {"username": name, "password": "x", "role": role, "pacing": pacing}
        for name, role in accounts
    }
    return to_toml({"accounts": tables})


@pytest.fixture
def make_web(
    web: WebHarness, store_url: str, tmp_path: Path
) -> Iterator[Callable[..., WebHarness]]:
    """Creates applications on the same Redis with other accounts."""
    opened_now: list[Any] = []

    def make(*accounts: tuple[str, str], budget: int = 60) -> WebHarness:
        served = run_web(store_url, tmp_path, configured(*accounts, budget=budget))
        port = served.__enter__()
        client = connect(port, web.store)
        opened_now.extend([served, client])
        return client.__enter__()

    yield make
    for each in reversed(opened_now):
        each.__exit__(None, None, None)


def test_a_held_reading_account_stops_lookups_and_the_response_says_since_when(
    web: WebHarness, ledger: LedgerHarness, name: str, executor: ThreadPoolExecutor
) -> None:
    # Given a caller that waits when the account is put on hold
    requests = executor.submit(web.api.get, f"/users/{name}")
    claim = ledger.claim(pending_lookups(web)[0])
    ledger.release(claim, Status.HELD, effect=AccountEffect(hold="challenge_required"))
    # Then it is answered at once, and so are later ones; the writing account is not used
    for response in (requests.result(), web.api.get(f"/users/{name}"), web.api.get("/users/other")):
        error = error_of(response)
        assert (response.status_code, error["code"]) == (503, "account_held")
        assert error["reason"] == "challenge_required"
        assert error["since"].startswith("20")
        assert response.headers["Retry-After"] == "60"
    # When the account is resumed
    web.api.post("/accounts/reader/resume").raise_for_status()
    assert web.api.get(f"/users/{name}", params={"wait": 0}).status_code == 202
    assert {job["account"] for job in list_jobs(web, kind="lookup")} == {"reader"}


@pytest.mark.parametrize(
    ("stop", "go_on", "body"),
    [
        ("/accounts/reader/pause", "/accounts/reader/resume", {"kind": "lookup"}),
        ("/accounts/reader/pause", "/accounts/reader/resume", {}),
        ("/pause", "/resume", {}),
    ],
    ids=["kind", "account", "everything"],
)
def test_a_pause_stops_lookups(
    web: WebHarness, ledger: LedgerHarness, name: str, stop: str, go_on: str, body: dict[str, str]
) -> None:
    cache_profile(web, ledger, name)
    web.api.post(stop, json=body).raise_for_status()
    response = web.api.get(f"/users/{new_username()}")
    error = error_of(response)
    assert (response.status_code, error["code"], error["reason"]) == (503, "account_held", "paused")
    assert error["since"] is not None
    # Copies are sent nevertheless
    assert web.api.get(f"/users/{name}").status_code == 200
    web.api.post(go_on, json=body).raise_for_status()
    assert web.api.get(f"/users/{new_username()}", params={"wait": 0}).status_code == 202


def test_a_cooldown_is_reported_with_its_end(
    web: WebHarness, ledger: LedgerHarness, name: str, executor: ThreadPoolExecutor
) -> None:
    # Given a caller that waits when Instagram asks to slow down
    requests = executor.submit(web.api.get, f"/users/{name}")
    effect = AccountEffect(cooldown="please_wait", cooldown_ms=HOUR)
    ledger.release(ledger.claim(pending_lookups(web)[0]), Status.WAITING, effect=effect)
    # Then it is answered at once, and so are later ones
    for response in (requests.result(), web.api.get(f"/users/{name}"), web.api.get("/users/other")):
        error = error_of(response)
        assert (response.status_code, error["code"]) == (429, "rate_limited")
        assert (error["reason"], error["until"] is None) == ("please_wait", False)
        assert 3590 <= int(response.headers["Retry-After"]) <= 3600
        assert error["retry_after_seconds"] == int(response.headers["Retry-After"])


def test_a_short_cooldown_is_waited_for(
    web: WebHarness, ledger: LedgerHarness, name: str, executor: ThreadPoolExecutor
) -> None:
    requests = executor.submit(web.api.get, f"/users/{name}", params={"wait": 20})
    effect = AccountEffect(cooldown="please_wait", cooldown_ms=10 * SECOND)
    [job_id] = pending_lookups(web)
    ledger.release(ledger.claim(job_id), Status.WAITING, effect=effect)
    until(lambda: ledger.status(job_id) is Status.WAITING)
    ledger.pass_time(11 * SECOND)
    ledger.heartbeat()
    finish_lookup(ledger, job_id)
    assert requests.result().status_code == 200


def test_a_budget_includes_queued_lookups(make_web: Callable[..., WebHarness]) -> None:
    web = make_web(("eyes", "read"), budget=3)
    params: dict[str, Any] = {"username": [new_username() for _ in range(5)], "wait": 0}
    errors = [each["error"] for each in web.api.get("/users", params=params).json()["items"]]
    # One has its turn already; the queued ones fill the hour
    assert [error["code"] for error in errors] == ["pending"] * 4 + ["rate_limited"]
    assert errors[-1]["reason"] == "lookup_per_hour"
    assert errors[-1]["retry_after_seconds"] > 3000


def test_lookups_go_to_the_account_with_the_most_budget_left(
    make_web: Callable[..., WebHarness],
) -> None:
    web = make_web(("shop", "both"), ("writer", "write"), ("eyes", "read"), ("ears", "read"))
    params: dict[str, Any] = {"username": [new_username() for _ in range(6)], "wait": 0}
    web.api.get("/users", params=params)
    accounts = sorted(job["account"] for job in list_jobs(web, kind="lookup"))
    assert accounts == ["ears"] * 3 + ["eyes"] * 3


def test_an_account_with_role_both_reads_only_if_no_account_has_role_read(
    make_web: Callable[..., WebHarness],
) -> None:
    web = make_web(("writer", "write"), ("shop", "both"))
    web.api.get(f"/users/{new_username()}", params={"wait": 0})
    assert [job["account"] for job in list_jobs(web, kind="lookup")] == ["shop"]


def test_a_writing_account_does_no_lookups(make_web: Callable[..., WebHarness]) -> None:
    response = make_web(("writer", "write")).api.get(f"/users/{new_username()}")
    assert (response.status_code, error_of(response)["code"]) == (503, "no_account")


def test_a_lookup_of_a_held_account_moves_to_another_account(
    make_web: Callable[..., WebHarness],
    ledger: LedgerHarness,
    name: str,
    executor: ThreadPoolExecutor,
) -> None:
    web = make_web(("eyes", "read"), ("ears", "read"))
    requests = executor.submit(web.api.get, f"/users/{name}", params={"wait": 20})
    first = pending_lookups(web)[0]
    account = ledger.record(first).account
    # When the reading account needs a person
    effect = AccountEffect(hold="challenge_required")
    ledger.release(ledger.claim(first), Status.HELD, effect=effect)
    # Then the other account reads, and the caller is answered
    second = until(lambda: [each for each in pending_lookups(web) if each != first])[0]
    assert ledger.status(first) is Status.CANCELED
    assert ledger.record(second).account != account
    finish_lookup(ledger, second)
    assert requests.result().status_code == 200
