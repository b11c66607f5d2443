"""Many events at once: what their rules make of them now, planned and then done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from service.jobs.lua.create_deferred_jobs import JOBS_AT_ONCE
from service.jobs.model import Status
from service.operations import event_selection
from tests.support.invariants import audit
from tests.support.ledger import LedgerHarness
from tests.support.mended_rule import (
    MENDED_CONFIG,
    TYPO_RULE,
    WRONG_CONFIG,
    mended_web,
    paid,
    wrong_web,
)
from tests.support.operations import confirm_replay, drive, plan_replay
from tests.support.web import CONFIG, WebHarness, connect, order, run_web

__all__ = ["mended_web", "wrong_web"]


def deliver(web: WebHarness, count: int) -> list[str]:
    """Deliver paid events; returns the ids of their jobs."""
    return [web.deliver("stripe", paid(n)).json()["jobs"][0] for n in range(count)]


def test_30_paid_events_whose_rule_had_a_typo_are_repaired_with_two_requests(
    wrong_web: WebHarness, mended_web: WebHarness, ledger: LedgerHarness
) -> None:
    # Given 30 events whose job was rejected, and others
    jobs = deliver(wrong_web, 30)
    wrong_web.deliver("stripe", order("stripe", "evt_other"))
    # When the rule is mended
    planned = plan_replay(mended_web.api, {"type": "paid"}, reason="typo in `to`")
    started = confirm_replay(mended_web.api, planned, reason="typo in `to`")
    drive(ledger, started.json()["id"], MENDED_CONFIG)
    # Then each has its DM
    assert (planned["count"], planned["evaluated"], planned["sources"]) == (30, 30, {"stripe": 30})
    assert planned["jobs"] == {"create": 0, "replace": 30}
    assert planned["outcomes"] == {"would_make_jobs": 30}
    assert started.status_code == 202
    operation = mended_web.api.get(f"/operations/{started.json()['id']}").json()
    assert (operation["status"], operation["action"], operation["rule"]) == (
        "completed",
        "replay",
        None,
    )
    assert operation["results"] == {"replayed": 30}
    assert [ledger.record(job_id).to for job_id in jobs] == [f"h{n}" for n in range(30)]
    assert Status.FAILED not in {ledger.status(job_id) for job_id in jobs}
    assert audit(ledger) == []


def test_two_workers_at_once_replay_each_event_once(
    wrong_web: WebHarness, mended_web: WebHarness, ledger: LedgerHarness
) -> None:
    jobs = deliver(wrong_web, 60)
    planned = plan_replay(mended_web.api, {"type": "paid"})
    operation_id = confirm_replay(mended_web.api, planned).json()["id"]
    drive(ledger, operation_id, MENDED_CONFIG, workers=2)
    operation = mended_web.api.get(f"/operations/{operation_id}").json()
    assert (operation["done"], operation["results"]) == (60, {"replayed": 60})
    results = mended_web.api.get(
        f"/operations/{operation_id}/results", params={"limit": 100}
    ).json()["items"]
    assert [each["jobs"] for each in results] == [[job_id] for job_id in jobs]
    assert {ledger.record(job_id).run for job_id in jobs} == {2}


def test_results_name_each_event_and_its_jobs(
    wrong_web: WebHarness, mended_web: WebHarness, ledger: LedgerHarness
) -> None:
    jobs = deliver(wrong_web, 3)
    planned = plan_replay(mended_web.api, {"event_ids": ["evt_0", "evt_2"]}, rule="typo")
    operation_id = confirm_replay(mended_web.api, planned).json()["id"]
    drive(ledger, operation_id, MENDED_CONFIG)
    results = mended_web.api.get(f"/operations/{operation_id}/results").json()["items"]
    assert [(each["source"], each["event_id"], each["outcome"]) for each in results] == [
        ("stripe", "evt_0", "replayed"),
        ("stripe", "evt_2", "replayed"),
    ]
    assert [each["jobs"] for each in results] == [[jobs[0]], [jobs[2]]]
    assert ledger.status(jobs[1]) is Status.FAILED


def test_a_dry_run_says_for_each_event_what_each_rule_would_do_and_changes_nothing(
    wrong_web: WebHarness, mended_web: WebHarness
) -> None:
    (job_id,) = deliver(wrong_web, 1)
    (done,) = wrong_web.deliver("stripe", order("stripe", "evt_other")).json()["jobs"]
    before = wrong_web.contents()
    wrong, mended = (
        web.api.post("/events:replay", json={"filter": {"source": "stripe"}, "dry_run": True})
        for web in (wrong_web, mended_web)
    )
    assert (wrong.status_code, mended.status_code) == (200, 200)
    (other, rejected), (_, repaired) = wrong.json()["items"], mended.json()["items"]
    assert (other["event_id"], other["outcome"]) == ("evt_other", "unchanged")
    assert [(rule["outcome"], rule["job_id"]) for rule in other["rules"]] == [("has_job", done)]
    assert (rejected["event_id"], rejected["outcome"]) == ("evt_0", "rejected")
    assert rejected["rules"][0]["message"].startswith("to:")
    assert repaired["outcome"] == "would_make_jobs"
    (rule,) = repaired["rules"]
    assert (rule["rule"], rule["outcome"], rule["job_id"]) == ("typo", "would_replace", job_id)
    assert (rule["kind"], rule["account"], rule["to"]) == ("dm", "shop", "h0")
    assert mended_web.contents() == before


def test_a_dry_run_comes_in_pages(wrong_web: WebHarness, mended_web: WebHarness) -> None:
    deliver(wrong_web, 5)
    body: dict[str, Any] = {"filter": {"source": "stripe"}, "dry_run": True}
    seen: list[str] = []
    query: dict[str, str] = {"limit": "2"}
    while True:
        page = mended_web.api.post("/events:replay", params=query, json=body).json()
        seen += [each["event_id"] for each in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert seen == [f"evt_{n}" for n in range(4, -1, -1)]


def test_events_that_cannot_be_replayed_say_why(
    wrong_web: WebHarness, mended_web: WebHarness, ledger: LedgerHarness
) -> None:
    deliver(wrong_web, 3)
    wrong_web.store.delete("hg:encbody:stripe:evt_0")
    wrong_web.store.copy("hg:encbody:stripe:evt_2", "hg:encbody:stripe:evt_1", replace=True)
    conflict = wrong_web.deliver("stripe", order("stripe", "evt_2")).json()["event_id"]
    ids = ["evt_0", "evt_1", "evt_2", conflict]
    planned = plan_replay(mended_web.api, {"event_ids": ids})
    assert planned["outcomes"] == {
        "body_gone": 1,
        "body_unreadable": 1,
        "would_make_jobs": 1,
        "not_replayable": 1,
    }
    operation_id = confirm_replay(mended_web.api, planned).json()["id"]
    wrong_web.store.delete(f"hg:event:stripe:{conflict}")
    drive(ledger, operation_id, MENDED_CONFIG)
    operation = mended_web.api.get(f"/operations/{operation_id}").json()
    assert operation["results"] == {
        "body_gone": 1,
        "body_unreadable": 1,
        "replayed": 1,
        "unknown_event": 1,
    }
    assert [each["outcome"] for each in operation["problems"]] == [
        "body_gone",
        "body_unreadable",
        "unknown_event",
    ]


def test_a_rule_that_still_cannot_fill_in_its_job_is_a_problem(
    wrong_web: WebHarness, ledger: LedgerHarness
) -> None:
    (job_id,) = deliver(wrong_web, 1)
    planned = plan_replay(wrong_web.api, {"type": "pa?d"})
    assert [each["outcome"] for each in planned["problems"]] == ["rejected"]
    operation_id = confirm_replay(wrong_web.api, planned).json()["id"]
    drive(ledger, operation_id, WRONG_CONFIG)
    operation = wrong_web.api.get(f"/operations/{operation_id}").json()
    assert operation["results"] == {"rejected": 1}
    assert ledger.record(job_id).run == 1


def test_a_worker_with_other_rules_leaves_it_to_one_with_those_of_the_plan(
    wrong_web: WebHarness, mended_web: WebHarness, ledger: LedgerHarness
) -> None:
    (job_id,) = deliver(wrong_web, 1)
    planned = plan_replay(mended_web.api, {"type": "paid"})
    path = f"/operations/{confirm_replay(mended_web.api, planned).json()['id']}"
    # Given a worker of before the deploy
    drive(ledger, path.rpartition("/")[2], WRONG_CONFIG)
    waiting = mended_web.api.get(path).json()
    assert (waiting["status"], waiting["done"], waiting["blocked"]) == ("running", 0, "other_rules")
    # When one of the deploy comes
    drive(ledger, path.rpartition("/")[2], MENDED_CONFIG)
    done = mended_web.api.get(path).json()
    assert (done["status"], done["blocked"]) == ("completed", None)
    assert ledger.record(job_id).to == "h0"


def test_a_plan_is_for_the_rules_that_it_was_made_with(
    wrong_web: WebHarness, mended_web: WebHarness
) -> None:
    deliver(wrong_web, 1)
    planned = plan_replay(wrong_web.api, {"type": "paid"})
    answer = confirm_replay(mended_web.api, planned)
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "plan_mismatch")


def test_an_event_with_more_jobs_than_a_step_makes_is_replayed_whole(
    wrong_web: WebHarness, ledger: LedgerHarness, store_url: str, tmp_path: Path
) -> None:
    count = 2 * JOBS_AT_ONCE + 3
    rules = (TYPO_RULE.replace('"typo"', f'"rule-{n}"') % "handle" for n in range(count))
    config = CONFIG + "".join(rules)
    wrong_web.deliver("stripe", paid(1))
    with (
        run_web(store_url, tmp_path, config) as port,
        connect(port, wrong_web.store) as many,
    ):
        planned = plan_replay(many.api, {"event_ids": ["evt_1"]})
        operation_id = confirm_replay(many.api, planned).json()["id"]
        drive(ledger, operation_id, config)
        assert planned["jobs"] == {"create": count, "replace": 0}
        (result,) = many.api.get(f"/operations/{operation_id}/results").json()["items"]
    assert (result["outcome"], len(set(result["jobs"]))) == ("replayed", count)
    assert not ledger.store.hexists(f"hg:op:{operation_id}", "partial")
    assert audit(ledger) == []


def test_the_audit_log_and_timelines_say_who_why_and_in_which_operation(
    wrong_web: WebHarness, mended_web: WebHarness, ledger: LedgerHarness
) -> None:
    (job_id,) = deliver(wrong_web, 1)
    planned = plan_replay(mended_web.api, {"type": "paid"})
    operation_id = confirm_replay(mended_web.api, planned, reason="typo").json()["id"]
    drive(ledger, operation_id, MENDED_CONFIG)
    entries = mended_web.api.get("/audit").json()["items"]
    assert [entry["decision"] for entry in entries] == ["replay", "replace", "replay_many"]
    assert {entry["reason"] for entry in entries} == {f"typo ({operation_id})"}
    assert entries[0]["event_id"] == "evt_0"
    items = mended_web.api.get(f"/jobs/{job_id}/timeline").json()["items"]
    (entry,) = [each for each in items if each["by"] == "api:first"]
    assert entry["why"] == f"replaced by replay: typo ({operation_id})"


def test_a_filter_that_matches_too_many_events_is_refused(
    wrong_web: WebHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_selection, "MAX_ITEMS", 2)
    deliver(wrong_web, 3)
    answer = wrong_web.api.post("/events:replay", json={"filter": {"source": "stripe"}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "too_many_events")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "filter"),
        ({"filter": {}}, "filter"),
        ({"filter": {"event_ids": []}}, "filter.event_ids"),
        ({"filter": {"sorce": "stripe"}}, "filter.sorce"),
        ({"filter": {"created_since": "yesterday"}}, "filter.created_since"),
        (
            {
                "filter": {
                    "created_since": "2026-01-02T00:00:00Z",
                    "created_until": "2026-01-01T00:00:00Z",
                }
            },
            "filter.created_until",
        ),
        ({"filter": {"source": "stripe"}, "rule": "never"}, "rule"),
        ({"filter": {"source": "stripe"}, "dry_run": True, "token": "op_" + "a" * 26}, "token"),
        ({"filter": {"source": "stripe"}, "dry_run": "yes"}, "dry_run"),
    ],
)
def test_bad_input_names_its_field_and_changes_nothing(
    wrong_web: WebHarness, body: dict[str, Any], field: str
) -> None:
    deliver(wrong_web, 1)
    before = wrong_web.contents()
    answer = wrong_web.api.post("/events:replay", json=body)
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["error"]["fields"]] == [field]
    assert wrong_web.contents() == before
