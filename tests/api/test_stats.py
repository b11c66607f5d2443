"""GET /stats: what was sent, what failed and why, counted in the steps that end jobs."""

from __future__ import annotations

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from service.jobs.model import Failure, JobDraft, SettledAs, Status
from tests.support.job_states import job_in
from tests.support.ledger import DAY, HOUR, SECOND, LedgerHarness
from tests.support.web import WebHarness


def stats(web: WebHarness, **query: str) -> dict[str, Any]:
    """The numbers of a period."""
    reply = web.api.get("/stats", params=query)
    assert reply.status_code == 200, reply.text
    shown: dict[str, Any] = reply.json()
    return shown


def item(web: WebHarness, by: str, name: str | None) -> dict[str, Any]:
    """The numbers of one group."""
    [found] = [each for each in stats(web, by=by)["items"] if each[by] == name]
    return dict(found)


def end_dry(ledger: LedgerHarness, job_id: str) -> None:
    """End a job as a worker does whose runs are all dry."""
    claim = ledger.claim(job_id)
    ended = ledger.claims.finish(claim, Status.SUCCEEDED, result={"dry_run": True}, why="dry run")
    assert ledger.run(ended) == "ok"


def attempt(
    ledger: LedgerHarness, job_id: str, to: Literal["pending", "delivered", "failed"]
) -> None:
    """Make an attempt at a job's callback, which ends as said."""
    [delivery] = ledger.deliveries_of(job_id)
    claim = ledger.run(ledger.deliveries.claim(delivery["id"], "worker"))
    assert claim is not None
    assert ledger.run(ledger.deliveries.record(claim, to, {"status": 503}))


def error(field: str, reply: Any) -> str:
    """The message about a field that a 422 names."""
    assert reply.status_code == 422
    [problem] = reply.json()["error"]["fields"]
    assert problem["field"] == field
    return str(problem["message"])


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (Status.SUCCEEDED, {"sent": 1}),
        (Status.FAILED, {"failed": {"total": 1, "codes": {"refused": 1}}}),
        (Status.CANCELED, {"canceled": 1}),
        (Status.EXPIRED, {"expired": 1}),
        (Status.UNCERTAIN, {"uncertain": 1}),
    ],
)
def test_an_end_is_counted_once_in_each_grouping(
    web: WebHarness, ledger: LedgerHarness, status: Status, shown: dict[str, Any]
) -> None:
    job_in(ledger, status)
    code = {Status.FAILED: "refused", Status.UNCERTAIN: "refused", Status.EXPIRED: "expired"}

    nothing = {"sent": 0, "failed": {"total": 0, "codes": {}}, "canceled": 0, "expired": 0}
    wanted = nothing | {"uncertain": 0, "dry_run": 0} | shown
    for by, name in (("rule", "thank-you"), ("account", "shop"), ("code", code.get(status))):
        assert wanted.items() <= item(web, by, name).items()
    assert wanted.items() <= stats(web)["total"].items()
    assert wanted.items() <= stats(web, by="day")["items"][-1].items()


def test_a_storm_of_ends_adds_up_to_what_the_jobs_say(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    # Given jobs of several rules and accounts that end in all ways
    rng = random.Random(7)
    ends = [Status.SUCCEEDED, Status.FAILED, Status.CANCELED, Status.EXPIRED, Status.UNCERTAIN]
    jobs = [
        job_in(
            ledger,
            rng.choice(ends),
            account=f"account-{number}",
            rule=rng.choice(["one", "two", None]),
            dry_run=rng.random() < 0.3,
        )
        for number in range(60)
    ]

    # When they are counted
    counted = {each["rule"]: each for each in stats(web)["items"]}

    # Then each group has exactly the jobs that are shown with that end
    expected: dict[str | None, Counter[str]] = {name: Counter() for name in ("one", "two", None)}
    for job_id in jobs:
        job = web.api.get(f"/jobs/{job_id}").json()
        outcome = "dry_run" if job["dry_run"] else job["status"]
        expected[job["source"]["rule"]][outcome] += 1
    assert set(counted) == set(expected)
    for rule, ended in expected.items():
        shown = counted[rule]
        assert (shown["sent"], shown["failed"]["total"]) == (ended["succeeded"], ended["failed"])
        for outcome in ("canceled", "expired", "uncertain", "dry_run"):
            assert shown[outcome] == ended[outcome]
        assert sum(shown["failed"]["codes"].values()) == ended["failed"]


def test_a_dry_run_is_never_counted_as_sent(web: WebHarness, ledger: LedgerHarness) -> None:
    # Given a job that asks for a dry run, one of a worker that makes no other, and one that fails
    end_dry(ledger, ledger.add_job(dry_run=True))
    end_dry(ledger, ledger.add_job())
    job_in(ledger, Status.FAILED, dry_run=True)

    total = stats(web)["total"]
    assert (total["sent"], total["failed"]["total"], total["dry_run"]) == (0, 0, 3)
    assert total["wait_seconds"] == {"p50": None, "p95": None}
    assert item(web, "code", None)["dry_run"] == 3


def test_a_job_that_was_rejected_at_creation_counts_as_failed(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    ledger.add_job(failure=Failure("no_recipient", "The event has no handle."))

    assert stats(web)["total"]["failed"] == {"total": 1, "codes": {"no_recipient": 1}}


def test_each_run_of_a_retried_job_counts(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.FAILED)
    assert web.api.post(f"/jobs/{job_id}/retry").status_code == 202
    assert ledger.finish(ledger.claim_and_send(job_id))

    total = stats(web)["total"]
    assert (total["sent"], total["failed"]["total"]) == (1, 1)
    # The time until a person decided is nobody's waiting time.
    assert total["wait_seconds"]["p50"] is None


@pytest.mark.parametrize(("settled_as", "numbers"), [("sent", (1, 0, 0)), ("not_sent", (0, 1, 0))])
def test_an_uncertain_job_that_is_settled_counts_as_a_person_says(
    web: WebHarness, ledger: LedgerHarness, settled_as: SettledAs, numbers: tuple[int, int, int]
) -> None:
    job_id = job_in(ledger, Status.UNCERTAIN)
    assert stats(web)["total"]["uncertain"] == 1

    for _ in range(2):  # the same again changes nothing
        assert ledger.run(ledger.core.settle(job_id, settled_as, "api:test", note=None)) == "ok"

    total = stats(web)["total"]
    assert (total["sent"], total["failed"]["total"], total["uncertain"]) == numbers


def test_a_job_that_an_older_release_left_uncertain_is_not_taken_back(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    job_id = job_in(ledger, Status.UNCERTAIN)
    for key in ledger.store.keys("hg:stats:*"):
        ledger.store.delete(key)

    assert ledger.run(ledger.core.settle(job_id, "sent", "api:test", note=None)) == "ok"
    total = stats(web)["total"]
    assert (total["sent"], total["uncertain"]) == (1, 0)


def test_erasing_a_person_changes_no_number(web: WebHarness, ledger: LedgerHarness) -> None:
    job_in(ledger, Status.FAILED, to="some.handle")
    before = stats(web)

    assert web.api.delete("/people/some.handle").status_code == 200
    assert stats(web) == before
    assert not [key for key in ledger.store.keys("hg:stats:*") if b"some" in key]


def test_lookups_are_counted_apart(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = ledger.run(
        ledger.core.create(
            JobDraft("lookup", "reader", "some.handle", None, ""),
            caller="test",
            idempotency_key=None,
            request="",
        )
    ).job_id
    claim = ledger.claim(job_id)
    assert ledger.run(ledger.claims.finish(claim, Status.SUCCEEDED, result={"pk": "1"})) == "ok"

    shown = item(web, "account", "reader")
    assert shown["lookups"] == {"succeeded": 1, "failed": 0, "canceled": 0, "expired": 0}
    assert (shown["sent"], shown["wait_seconds"]["p50"]) == (0, None)
    assert item(web, "rule", None)["lookups"]["succeeded"] == 1


@pytest.mark.parametrize("waited", [0.5, 3, 100, 5_000, 100_000])
def test_the_waiting_time_is_at_most_twice_too_long_or_short(
    web: WebHarness, ledger: LedgerHarness, waited: float
) -> None:
    job_id = ledger.add_job()
    ledger.pass_time(round(waited * SECOND))
    assert ledger.finish(ledger.claim_and_send(job_id))

    wait = stats(web)["total"]["wait_seconds"]
    for share in ("p50", "p95"):
        assert waited / 2 <= wait[share] <= max(1, 2 * waited + 1)


def test_a_job_does_not_wait_before_it_may_run(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = ledger.add_job(delay_ms=HOUR)
    ledger.pass_time(HOUR)
    assert ledger.finish(ledger.claim_and_send(job_id))

    assert stats(web)["total"]["wait_seconds"]["p95"] <= 1


def test_callbacks_are_counted_by_endpoint(web: WebHarness, ledger: LedgerHarness) -> None:
    # Given one callback that is delivered at the second attempt, and one that is given up
    first, second = (job_in(ledger, Status.SUCCEEDED) for _ in range(2))
    attempt(ledger, first, "pending")
    attempt(ledger, first, "delivered")
    attempt(ledger, second, "failed")

    numbers = {"delivered": 1, "failed": 1, "retried": 1}
    assert stats(web)["callbacks"] == {**numbers, "endpoints": [{"endpoint": "crm", **numbers}]}


def test_days_without_jobs_are_listed(web: WebHarness, ledger: LedgerHarness) -> None:
    job_in(ledger, Status.SUCCEEDED)
    today = datetime.now(UTC).date()

    since = (today - timedelta(days=2)).isoformat()
    shown = stats(web, by="day", **{"from": since, "to": today.isoformat()})
    days = {each["day"]: each["sent"] for each in shown["items"]}
    assert days == {since: 0, (today - timedelta(days=1)).isoformat(): 0, today.isoformat(): 1}
    assert shown["from"] == f"{since}T00:00:00.000Z"
    assert shown["to"] == f"{(today + timedelta(days=1)).isoformat()}T00:00:00.000Z"


def test_only_the_hours_of_the_period_count(web: WebHarness, ledger: LedgerHarness) -> None:
    job_in(ledger, Status.SUCCEEDED)
    now = datetime.now(UTC)
    ago = (now - timedelta(hours=2)).strftime("%Y-%m-%dT%H:30:00Z")
    earlier = (now - timedelta(hours=5)).isoformat()

    assert stats(web, **{"from": ago})["total"]["sent"] == 1
    before = stats(web, **{"from": earlier, "to": ago})
    assert before["total"]["sent"] == 0
    assert before["to"].endswith(":00:00.000Z")


def test_a_week_is_the_default(web: WebHarness) -> None:
    shown = stats(web)
    begins, ends = (datetime.fromisoformat(shown[name]) for name in ("from", "to"))
    assert ends - begins == timedelta(days=7)
    assert ends - timedelta(hours=1) <= datetime.now(UTC) <= ends + timedelta(seconds=5)


def test_numbers_are_kept_for_400_days(web: WebHarness, ledger: LedgerHarness) -> None:
    job_in(ledger, Status.SUCCEEDED)

    ledger.pass_time(399 * DAY)
    [key] = ledger.store.keys("hg:stats:*")
    since = (datetime.now(UTC) - timedelta(days=400)).isoformat()
    assert stats(web, **{"from": since})["total"]["sent"] == 1
    ledger.pass_time(DAY + 2 * HOUR)
    assert not ledger.store.exists(key)
    assert ledger.store.keys("hg:stats:*") == []


@pytest.mark.parametrize(
    ("query", "field", "remedy"),
    [
        ({"from": "yesterday"}, "from", "RFC 3339"),
        ({"from": "2026-02-30"}, "from", "RFC 3339"),
        ({"from": "2026-01-31T09:00:00"}, "from", "with its zone"),
        ({"from": ""}, "from", "RFC 3339"),
        ({"to": "1767225600"}, "to", "RFC 3339"),
        ({"to": "9999-12-31"}, "to", "RFC 3339"),
        ({"to": "0001-01-01T00:00:00+14:00"}, "to", "RFC 3339"),
        ({"from": "2001-01-01"}, "from", "400 days"),
        ({"to": "2001-01-01"}, "from", "400 days"),
        ({"from": "2999-01-01"}, "from", "before"),
        ({"to": "2999-01-01", "from": "today"}, "to", "400 days"),
        ({"by": "person"}, "by", "'rule', 'account', 'code' or 'day'"),
    ],
)
def test_a_period_that_cannot_be_is_refused(
    web: WebHarness, query: dict[str, str], field: str, remedy: str
) -> None:
    today = datetime.now(UTC).date().isoformat()
    query = {name: today if value == "today" else value for name, value in query.items()}

    assert remedy in error(field, web.api.get("/stats", params=query))


def test_an_hour_with_many_counters_is_read_in_parts(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    job_in(ledger, Status.SUCCEEDED)
    [key] = ledger.store.keys("hg:stats:*")
    ledger.store.hset(key, mapping={f"job:shop:rule-{n}:dm:succeeded:1": 2 for n in range(9_999)})

    shown = stats(web)
    assert shown["total"]["sent"] == 2 * 9_999 + 1
    assert len(shown["items"]) == 10_000


def test_several_periods_can_be_asked_for_at_once(
    web: WebHarness, ledger: LedgerHarness, executor: ThreadPoolExecutor
) -> None:
    job_in(ledger, Status.SUCCEEDED)
    since = (datetime.now(UTC) - timedelta(days=399)).date().isoformat()

    asked = [executor.submit(stats, web, **{"from": since}) for _ in range(8)]
    assert [each.result()["total"]["sent"] for each in asked] == [1] * 8


def test_the_counters_of_a_newer_release_are_passed_over(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    job_in(ledger, Status.SUCCEEDED)
    [key] = ledger.store.keys("hg:stats:*")
    ledger.store.hset(key, mapping={"job:a:b:c:d:e:f:g": 1, "callback:x": 1, "new": 1})

    assert stats(web)["total"]["sent"] == 1


def test_a_key_is_needed(web: WebHarness) -> None:
    assert web.http.get("/stats").status_code == 401
