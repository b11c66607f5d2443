"""Many jobs at once: planned with one request, done with another."""

from __future__ import annotations

from typing import Any

import pytest

from service.jobs.lua.advance_operation import advance_operation
from service.jobs.model import Failure, Status
from service.operations import job_plans
from service.operations.store import PLAN_MS, STEP
from tests.support.invariants import audit
from tests.support.job_states import job_in
from tests.support.ledger import LedgerHarness
from tests.support.operations import confirm, drive, plan
from tests.support.web import API_KEY, OTHER_KEY, WebHarness

TYPO = Failure("template_failed", "to: nothing is there")


def last_entry(web: WebHarness, job_id: str) -> dict[str, Any]:
    entry: dict[str, Any] = web.api.get(f"/jobs/{job_id}/timeline").json()["items"][-1]
    return entry


def test_24_wrong_jobs_are_canceled_with_two_requests(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    # Given 24 jobs of one account, and one of another
    wrong = ledger.add_jobs(24, callback="crm")
    other = ledger.add_job(account="studio")

    # When
    planned = plan(web.api, "cancel", {"account": "shop"}, reason="wrong rule")
    started = confirm(web.api, planned, reason="wrong rule")
    drive(ledger, started.json()["id"])

    # Then
    assert planned["count"] == 24
    assert planned["accounts"] == {"shop": 24}
    assert planned["outcomes"] == {"canceled": 24}
    assert planned["problems"] == []
    assert started.status_code == 202
    assert started.headers["location"] == f"/operations/{planned['token']}"
    assert {ledger.status(job_id) for job_id in wrong} == {Status.CANCELED}
    assert ledger.status(other) is Status.QUEUED
    assert audit(ledger) == []


def test_an_operation_tells_how_far_it_has_come_and_what_became_of_each_job(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    ids = ledger.add_jobs(3)
    started = confirm(web.api, plan(web.api, "cancel", {"account": "shop"}), reason="typo").json()
    path = f"/operations/{started['id']}"
    assert (started["status"], started["total"], started["done"]) == ("running", 3, 0)
    assert (started["action"], started["reason"], started["by"]) == ("cancel", "typo", "api:first")
    drive(ledger, started["id"])

    operation = web.api.get(path).json()
    assert (operation["status"], operation["done"]) == ("completed", 3)
    assert operation["results"] == {"canceled": 3}
    assert operation["finished_at"] is not None
    first = web.api.get(f"{path}/results", params={"limit": 2}).json()
    second = web.api.get(f"{path}/results", params={"limit": 2, "cursor": first["next"]}).json()
    results = first["items"] + second["items"]
    assert sorted(each["job_id"] for each in results) == sorted(ids)
    assert {each["outcome"] for each in results} == {"canceled"}
    assert second["next"] is None
    assert [each["id"] for each in web.api.get("/operations").json()["items"]] == [started["id"]]


def test_timelines_and_the_audit_log_say_who_why_and_in_which_operation(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    waiting, running = ledger.add_job(delay_ms=60_000), job_in(ledger, Status.RUNNING)
    planned = plan(web.api, "cancel", {"account": "shop"})
    started = confirm(web.api, planned, reason="wrong rule").json()
    drive(ledger, started["id"])

    words = f"wrong rule ({started['id']})"
    canceled, asked = last_entry(web, waiting), last_entry(web, running)
    assert (canceled["by"], canceled["why"]) == ("api:first", f"requested: {words}")
    assert (asked["by"], asked["why"]) == ("api:first", f"cancel requested: {words}")
    entries = web.api.get("/audit").json()["items"]
    assert [entry["decision"] for entry in entries] == ["cancel", "cancel", "cancel_many"]
    assert {entry["reason"] for entry in entries} == {words}
    assert {entry["by"] for entry in entries} == {"api:first"}


def test_a_plan_says_what_would_be_left_and_why(web: WebHarness, ledger: LedgerHarness) -> None:
    # Given jobs of which a cancel does something else to each
    job_in(ledger, Status.SCHEDULED)
    job_in(ledger, Status.RUNNING, account="studio")
    unconfirmed = job_in(ledger, Status.UNCERTAIN, account="depot")
    ledger.run(ledger.core.retry(unconfirmed, "api:test"))
    before = ledger.store.dbsize()

    # When
    planned = plan(web.api, "cancel", {"kind": "dm"})

    # Then
    assert planned["count"] == 3
    assert planned["accounts"] == {"depot": 1, "shop": 1, "studio": 1}
    assert planned["outcomes"] == {"canceled": 1, "cancel_requested": 1, "not_cancelable": 1}
    (problem,) = planned["problems"]
    assert (problem["outcome"], problem["count"]) == ("not_cancelable", 1)
    # And nothing but the plan was written
    assert ledger.store.dbsize() == before + 2

    # When it is done, then that has become of them
    started = confirm(web.api, planned).json()
    drive(ledger, started["id"])
    operation = web.api.get(f"/operations/{started['id']}").json()
    assert operation["results"] == planned["outcomes"]
    (problem,) = operation["problems"]
    assert (problem["job_id"], problem["outcome"]) == (unconfirmed, "not_cancelable")
    assert problem["message"]
    assert audit(ledger) == []


def test_failed_jobs_are_retried_and_each_that_cannot_says_why(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    good, textless = job_in(ledger, Status.FAILED), job_in(ledger, Status.FAILED)
    rejected = ledger.add_job(to=None, failure=TYPO)
    ledger.store.delete(f"hg:jobtext:{textless}")
    planned = plan(web.api, "retry", {"account": "shop"})
    assert planned["outcomes"] == {"retried": 1, "text_gone": 1, "rejected_at_creation": 1}
    operation_id = confirm(web.api, planned).json()["id"]
    drive(ledger, operation_id)

    results = web.api.get(f"/operations/{operation_id}/results").json()["items"]
    assert {each["job_id"]: each["outcome"] for each in results} == {
        good: "retried",
        textless: "text_gone",
        rejected: "rejected_at_creation",
    }
    assert (ledger.status(good), ledger.record(good).run) == (Status.QUEUED, 2)
    assert audit(ledger) == []


def test_uncertain_jobs_are_retried_only_when_asked_for_by_name(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    uncertain = job_in(ledger, Status.UNCERTAIN)
    unnamed = plan(web.api, "retry", {"account": "shop"})
    assert (unnamed["count"], unnamed["token"], unnamed["expires_at"]) == (0, None, None)
    named = plan(web.api, "retry", {"status": ["uncertain"]})
    assert named["count"] == 1
    drive(ledger, confirm(web.api, named).json()["id"])
    assert ledger.record(uncertain).run == 2


def test_jobs_made_after_the_plan_are_not_touched(web: WebHarness, ledger: LedgerHarness) -> None:
    ledger.add_jobs(2)
    planned = plan(web.api, "cancel", {"account": "shop"})
    later = ledger.add_job()
    drive(ledger, confirm(web.api, planned).json()["id"])
    assert ledger.status(later) is Status.QUEUED


def test_a_token_used_twice_makes_one_operation(web: WebHarness, ledger: LedgerHarness) -> None:
    failed = job_in(ledger, Status.FAILED)
    planned = plan(web.api, "retry", {"account": "shop"})
    first = confirm(web.api, planned).json()
    drive(ledger, first["id"])
    again = confirm(web.api, planned)
    assert (again.status_code, again.json()["id"]) == (202, first["id"])
    assert again.json()["status"] == "completed"
    drive(ledger, first["id"])
    assert ledger.record(failed).run == 2
    assert len(web.api.get("/operations").json()["items"]) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"action": "retry"},
        {"filter": {"kind": "dm"}},
        {"filter": {"account": "shop", "kind": "dm"}},
    ],
)
def test_a_token_is_for_what_was_planned(
    web: WebHarness, ledger: LedgerHarness, change: dict[str, Any]
) -> None:
    job_id = ledger.add_job()
    planned = plan(web.api, "cancel", {"account": "shop"})
    before = web.contents()
    answer = confirm(web.api, planned | change)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "plan_mismatch")
    assert web.contents() == before
    assert ledger.status(job_id) is Status.QUEUED


def test_a_token_is_for_the_key_that_planned(web: WebHarness, ledger: LedgerHarness) -> None:
    ledger.add_job()
    planned = plan(web.api, "cancel", {"account": "shop"})
    web.api.headers["Authorization"] = f"Bearer {OTHER_KEY}"
    assert confirm(web.api, planned).json()["error"]["code"] == "plan_mismatch"
    web.api.headers["Authorization"] = f"Bearer {API_KEY}"
    assert confirm(web.api, planned).status_code == 202


def test_a_plan_expires(web: WebHarness, ledger: LedgerHarness) -> None:
    ledger.add_job()
    planned = plan(web.api, "cancel", {"account": "shop"})
    for key in ledger.store.scan_iter("hg:op*"):
        assert 0 < int(ledger.store.pttl(key)) <= PLAN_MS
        ledger.store.delete(key)
    answer = confirm(web.api, planned)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "plan_expired")
    assert web.api.get(f"/operations/{planned['token']}").status_code == 404


def test_a_plan_is_no_operation_yet(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    token = plan(web.api, "cancel", {"account": "shop"})["token"]
    assert web.api.get("/operations").json()["items"] == []
    for answer in (
        web.api.get(f"/operations/{token}"),
        web.api.get(f"/operations/{token}/results"),
        web.api.post(f"/operations/{token}/cancel"),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_operation")
    drive(ledger, token)
    assert ledger.status(job_id) is Status.QUEUED


def test_an_operation_is_stopped_and_what_it_did_stays_done(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    ids = ledger.add_jobs(STEP + 5, delay_ms=60_000)
    started = confirm(web.api, plan(web.api, "cancel", {"account": "shop"})).json()
    # Given its first step is done
    assert ledger.scripts.run(advance_operation(started["id"], STEP)) == 5
    # When
    stopped = web.api.post(f"/operations/{started['id']}/cancel")
    drive(ledger, started["id"])
    # Then
    assert stopped.status_code == 200
    operation = web.api.get(f"/operations/{started['id']}").json()
    assert (operation["status"], operation["done"]) == ("canceled", STEP)
    assert [ledger.status(job_id) for job_id in ids].count(Status.CANCELED) == STEP
    assert web.api.post(f"/operations/{started['id']}/cancel").json()["status"] == "canceled"
    assert ledger.store.zcard("hg:unfinished_ops") == 0


def test_a_completed_operation_cannot_be_stopped(web: WebHarness, ledger: LedgerHarness) -> None:
    ledger.add_job()
    started = confirm(web.api, plan(web.api, "cancel", {"account": "shop"})).json()
    drive(ledger, started["id"])
    answer = web.api.post(f"/operations/{started['id']}/cancel")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not_cancelable")


def test_a_filter_that_matches_too_many_jobs_is_refused(
    web: WebHarness, ledger: LedgerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_plans, "MAX_ITEMS", 5)
    ledger.add_jobs(5)
    assert plan(web.api, "cancel", {"account": "shop"})["count"] == 5
    ledger.add_job()
    before = web.contents()
    answer = web.api.post("/jobs:bulk", json={"action": "cancel", "filter": {"account": "shop"}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "too_many_jobs")
    assert "narrow" in answer.json()["error"]["message"]
    assert web.contents() == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"action": "cancel"}, "filter"),
        ({"action": "cancel", "filter": {}}, "filter"),
        ({"action": "cancel", "filter": {"account": None}}, "filter"),
        ({"action": "cancel", "filter": {"status": []}}, "filter"),
        ({"action": "cancel", "filter": {"status": ["lost"]}}, "filter.status"),
        ({"action": "cancel", "filter": {"acount": "shop"}}, "filter.acount"),
        ({"action": "delete", "filter": {"account": "shop"}}, "action"),
        ({"action": "retry", "filter": {"account": "shop"}, "reason": "x" * 201}, "reason"),
        ({"action": "retry", "filter": {"account": "shop"}, "reason": "a\nb"}, "reason"),
        ({"action": "retry", "filter": {"account": "shop"}, "token": "op_1"}, "token"),
        ({"action": "retry", "filter": {"account": "shop"}, "tokn": "op_1"}, "tokn"),
    ],
)
def test_bad_input_names_its_field_and_changes_nothing(
    web: WebHarness, ledger: LedgerHarness, body: dict[str, Any], field: str
) -> None:
    ledger.add_job()
    before = web.contents()
    answer = web.api.post("/jobs:bulk", json=body)
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["error"]["fields"]] == [field]
    assert web.contents() == before
