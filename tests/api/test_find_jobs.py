"""Finding jobs by whom they are for, where they came from and what became of them."""

from __future__ import annotations

from typing import Any

import pytest

from service.jobs.model import Failure, Status
from tests.support.ledger import PERSON_KEYS, LedgerHarness
from tests.support.web import WebHarness, order

DM: dict[str, Any] = {"kind": "dm", "account": "shop", "to": "jenny.rosen", "text": "Hello"}
PK = "3141592653"


@pytest.fixture(params=["indexes complete", "indexes not complete"], autouse=True)
def _completeness(request: pytest.FixtureRequest, web: WebHarness) -> None:
    """Queries trust indexes, or look at records as they do after an upgrade."""
    if request.param == "indexes complete":
        web.store.hset("hg:indexed", "upto", 10**12)
        web.store.hset("hg:people", mapping={"seq": 10**12, "key": PERSON_KEYS.fingerprint})


def create(web: WebHarness, **changes: Any) -> str:
    response = web.api.post("/jobs", json={**DM, **changes})
    assert response.status_code == 202, response.text
    job_id: str = response.json()["id"]
    return job_id


def found(web: WebHarness, query: str = "", **more: Any) -> list[str]:
    """The jobs of all pages."""
    ids: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        params = _pairs(query) + [(name, str(value)) for name, value in more.items()]
        response = web.api.get("/jobs", params=[*params, *cursor.items()])
        assert response.status_code == 200, response.text
        page = response.json()
        ids += [job["id"] for job in page["items"]]
        if page["next"] is None:
            return ids
        cursor = {"cursor": page["next"]}


def _pairs(query: str) -> list[tuple[str, str]]:
    parts = (part.partition("=") for part in query.split("&") if part)
    return [(name, value) for name, _, value in parts]


def problem(web: WebHarness, query: str) -> tuple[str, str]:
    """The field that a query is refused for, and what is said about it."""
    response = web.api.get(f"/jobs?{query}")
    assert response.status_code == 422, response.text
    [field] = response.json()["error"]["fields"]
    return field["field"], field["message"]


def fail(ledger: LedgerHarness, job_id: str, code: str) -> None:
    failure = Failure(code, "A sentence.", retryable=True)
    step = ledger.claims.finish(ledger.claim(job_id), Status.FAILED, failure=failure)
    assert ledger.run(step)


@pytest.mark.parametrize(
    "handle",
    [
        "jenny.rosen",
        "@Jenny.Rosen",
        "https://www.instagram.com/jenny.rosen/",
        f"pk:{PK}",
    ],
)
def test_a_persons_jobs_are_found_by_any_form_of_the_handle(
    web: WebHarness, ledger: LedgerHarness, handle: str
) -> None:
    # Given a DM to a handle that was found to be this user, one to the id, and one to another
    by_name = create(web)
    assert ledger.record_intent(ledger.claim(by_name), pk=PK) == "ok"
    by_id = create(web, to=f"pk:{PK}")
    create(web, to="somebody.else")

    assert found(web, to=handle) == [by_id, by_name]


def test_a_comment_that_mentions_a_person_is_not_for_them(web: WebHarness) -> None:
    create(web, kind="comment", to=None, post="CxyZabcDEfg", text="Hello @jenny.rosen")

    assert found(web, to="jenny.rosen") == []


def test_a_handle_that_passed_to_somebody_else_finds_the_jobs_of_both_by_name_only(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    jobs = [create(web), create(web, account="shop")]
    for job_id, pk in zip(jobs, ("1", "2"), strict=True):
        claim = ledger.claim(job_id)
        assert ledger.record_intent(claim, pk=pk) == "ok"
        assert ledger.finish(claim)

    assert found(web, to="jenny.rosen") == jobs[::-1]
    assert found(web, to="pk:1") == jobs[:1]
    assert found(web, to="pk:2") == jobs[1:]


def test_jobs_are_found_by_the_rule_source_and_event_that_created_them(web: WebHarness) -> None:
    create(web)
    [paid] = web.deliver("stripe", order("stripe", "evt_paid")).json()["jobs"]
    [other] = web.deliver("paddle", order("paddle", "evt_paid")).json()["jobs"]

    assert found(web, rule="stripe-order") == [paid]
    assert found(web, source="paddle") == [other]
    assert found(web, event_id="evt_paid") == [other, paid]
    assert found(web, event_id="evt_paid", source="stripe") == [paid]
    assert found(web, event_id="evt_paid", source="stripe", kind="comment") == []
    assert found(web, rule="stripe-order", source="paddle") == []
    assert found(web, rule="stripe") == []


def test_failed_jobs_are_found_by_the_code_of_their_error_until_they_are_retried(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    job_id, other = create(web), create(web)
    fail(ledger, job_id, "user_not_found")
    fail(ledger, other, "private_account")

    assert found(web, code="user_not_found") == [job_id]
    assert found(web, "status=failed&status=uncertain") == [other, job_id]

    assert web.api.post(f"/jobs/{job_id}/retry").status_code == 202
    assert found(web, code="user_not_found") == []
    assert ledger.store.keys("hg:jobs:code:*") == [b"hg:jobs:code:private_account"]


def test_jobs_are_found_by_several_statuses_in_the_order_of_their_creation(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    jobs = [create(web, delay_seconds=60 * (number % 2)) for number in range(6)]
    for job_id in jobs[1::2]:
        assert web.api.post(f"/jobs/{job_id}/cancel").status_code == 200
    ledger.finish(ledger.claim_and_send(jobs[0]))

    assert found(web, "status=canceled&status=succeeded", limit=2) == [*jobs[:0:-2], jobs[0]]
    assert found(web, "status=canceled&status=canceled") == jobs[:0:-2]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1042, "1042"),
        ("1042", "1042"),
        (19.9, "19.90"),
        (True, "true"),
        ("", ""),
        ("007", "007"),
        (17841400000000001, "17841400000000001"),
        ("a&b=c[d]/é", "a&b=c[d]/é"),
        ("x" * 100, "x" * 100),
        ("2026-11-30", "2026-11-30"),
    ],
)
def test_jobs_are_found_by_an_entry_of_their_metadata(
    web: WebHarness, value: object, text: str
) -> None:
    job_id = create(web, metadata={"order": value, "more": {"order": "nested"}})
    create(web, metadata={"order": "another", "other": value})
    create(web, metadata={"order": [value]})
    create(web)

    response = web.api.get("/jobs", params={"metadata[order]": text})

    assert [job["id"] for job in response.json()["items"]] == [job_id]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("007", "7"),
        (7, "007x"),
        ("1e3", "1000"),
        (17841400000000001, "17841400000000000"),
        ("True", "true"),
        (None, "null"),
        (None, "None"),
        ({"a": 1}, "1"),
    ],
)
def test_another_value_is_not_found(web: WebHarness, value: object, text: str) -> None:
    create(web, metadata={"order": value})

    assert found(web, f"metadata[order]={text}") == []


def test_entries_of_metadata_are_combined_and_the_first_four_are_indexed(web: WebHarness) -> None:
    long = {"long": "x" * 101, "k" * 41: "x", "list": [1]}
    entries = {"z": "1", "order": "2", "b": "3", "a": "4"}
    job_id = create(web, metadata={**long, **entries, "fifth": "5"})
    other = create(web, metadata={"z": "1"})

    assert found(web, "metadata[z]=1") == [other, job_id]
    for key, text in list(entries.items())[1:]:
        assert found(web, f"metadata[z]=1&metadata[{key}]={text}") == [job_id]
    assert found(web, "metadata[z]=1&metadata[order]=3") == []
    assert found(web, "metadata[fifth]=5") == []


def test_jobs_are_found_by_when_they_were_created(web: WebHarness) -> None:
    jobs = [create(web) for _ in range(4)]
    times = [web.api.get(f"/jobs/{job_id}").json()["created_at"] for job_id in jobs]
    assert sorted(set(times)) == times

    assert found(web, created_since=times[1]) == jobs[:0:-1]
    assert found(web, created_until=times[2]) == jobs[1::-1]
    assert found(web, created_since=times[1], created_until=times[3]) == jobs[2:0:-1]
    assert found(web, created_since="2999-01-01T00:00:00Z") == []
    assert found(web, created_until="1999-01-01T00:00:00-09:30") == []


def test_a_plus_sign_of_a_zone_may_be_sent_as_it_is(web: WebHarness) -> None:
    job_id = create(web)

    response = web.api.get("/jobs?created_since=2020-01-01T00:00:00+02:00")

    assert [job["id"] for job in response.json()["items"]] == [job_id]


def test_all_filters_are_combined(web: WebHarness, ledger: LedgerHarness) -> None:
    [job_id] = web.deliver("stripe", order("stripe", "evt_1")).json()["jobs"]
    [other] = web.deliver("stripe", order("stripe", "evt_2")).json()["jobs"]
    for each in (job_id, other):
        fail(ledger, each, "user_not_found")
    query = (
        "to=@some.handle&rule=stripe-order&source=stripe&code=user_not_found&kind=dm&account=shop"
        "&status=failed&status=uncertain&created_since=2020-01-01T00:00:00Z"
    )

    assert found(web, query, limit=1) == [other, job_id]
    assert found(web, f"{query}&event_id=evt_1") == [job_id]
    assert found(web, f"{query}&metadata[order]=1") == []
    for wrong in ("to=jenny", "rule=none", "code=none", "kind=comment", "account=none"):
        name = wrong.partition("=")[0]
        others = [part for part in query.split("&") if not part.startswith(f"{name}=")]
        assert found(web, "&".join((*others, wrong))) == []


@pytest.mark.parametrize(
    ("query", "field", "remedy"),
    [
        ("to=", "to", ""),
        ("to=a..b", "to", "1 to 30 of a-z"),
        ("to=123", "to", "pk: before a user id"),
        ("to=jenny%20and%20joe", "to", ""),
        ("status=done", "status", "uncertain"),
        ("status=failed,uncertain", "status", "status=failed&status=expired"),
        ("status=failed&status=done", "status", "repeat it for more"),
        ("kind=like", "kind", "'dm'"),
        ("rule=", "rule", "at least 1 character"),
        (f"source={'x' * 101}", "source", "at most 100 characters"),
        ("code=", "code", "at least 1 character"),
        ("created_since=2026-01-01", "created_since", "2026-01-31T09:00:00Z"),
        ("created_since=2026-01-01T00:00:00", "created_since", "with its zone"),
        ("created_until=1767225600", "created_until", "RFC 3339"),
        (
            "created_since=2026-01-02T00:00:00Z&created_until=2026-01-02T00:00:00Z",
            "created_until",
            "later than created_since",
        ),
        ("metadata[]=1", "metadata", "metadata[order]=1042"),
        (f"metadata[{'k' * 41}]=1", "metadata", "1 to 40 characters"),
        (f"metadata[order]={'x' * 101}", "metadata", "at most 100 characters"),
        ("metadata[a]=1&metadata[a]=2", "metadata", "send each key once"),
    ],
)
def test_a_filter_that_cannot_be_is_refused_with_the_remedy(
    web: WebHarness, query: str, field: str, remedy: str
) -> None:
    name, message = problem(web, query)

    assert (name, remedy in message) == (field, True), message
