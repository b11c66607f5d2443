"""Creating follower exports over HTTP: options, accounts and rejections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.follower_rows import claim_and_append, rows
from tests.support.ledger import LedgerHarness
from tests.support.web import OTHER_KEY, WebHarness, connect, run_web

ONE_ACCOUNT = """
[accounts.shop]
username = "shop"
password = "env:INSTAGRAM_PASSWORD"
role = "{role}"
"""


def ask(web: WebHarness, body: Any = None, *, kind: str = "followers", **headers: str) -> Any:
    return web.api.post(f"/users/some.handle/{kind}", json=body, headers=headers)


@pytest.mark.parametrize("kind", ["followers", "following"])
def test_an_export_is_a_job_of_the_reading_account(web: WebHarness, kind: str) -> None:
    response = ask(web, kind=kind)
    job = response.json()
    assert (response.status_code, response.headers["Location"]) == (202, f"/jobs/{job['id']}")
    assert (job["kind"], job["account"], job["to"]) == (kind, "reader", "some.handle")
    nothing = {"pages": 0, "users": 0, "expected": None, "limit": None, "eta": None}
    assert job["progress"] == nothing
    assert web.api.get(response.headers["Location"]).json().items() >= job.items()
    listed = web.api.get("/jobs", params={"kind": kind}).json()["items"]
    assert [each["id"] for each in listed] == [job["id"]]


@pytest.mark.parametrize("kind", ["followers", "following"])
def test_get_explains_how_to_start_an_export(web: WebHarness, kind: str) -> None:
    response = web.api.get(f"/users/some.handle/{kind}")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    assert "POST" in response.json()["error"]["message"]


def test_an_export_accepts_a_limit_an_account_a_callback_and_metadata(web: WebHarness) -> None:
    requests = {"limit": 10, "account": "shop", "callback": "crm", "metadata": {"order": 7}}
    job = ask(web, requests).json()
    assert (job["account"], job["callback"], job["metadata"]) == ("shop", "crm", {"order": 7})
    assert job["progress"]["limit"] == 10


@pytest.mark.parametrize("name", ["some.handle", "@Some.Handle", " some.handle "])
def test_a_user_can_be_given_in_every_usual_form(web: WebHarness, name: str) -> None:
    response = web.api.post(f"/users/{name}/followers")
    assert (response.status_code, response.json().get("to")) == (202, "some.handle")


BODIES: dict[str, Any] = {
    "limit zero": {"limit": 0},
    "limit negative": {"limit": -1},
    "limit huge": {"limit": 10_000_001},
    "limit without end": {"limit": 10**40},
    "limit bool": {"limit": True},
    "limit text": {"limit": "10"},
    "limit broken": {"limit": 1.5},
    "account unknown": {"account": "nobody"},
    "account empty": {"account": ""},
    "callback unknown": {"callback": "nobody"},
    "metadata no object": {"metadata": []},
    "unknown field": {"amount": 10},
}


@pytest.mark.parametrize("name", BODIES)
def test_an_invalid_field_is_rejected_by_name_and_changes_nothing(
    web: WebHarness, name: str
) -> None:
    before = web.contents()
    response = ask(web, BODIES[name])
    assert (response.status_code, response.json()["error"]["code"]) == (422, "invalid_request")
    assert response.json()["error"]["message"].startswith(f"{next(iter(BODIES[name]))}: ")
    assert web.contents() == before


@pytest.mark.parametrize("name", ["not a name", "a" * 31, "%00", "..", "pk:17", "%F0%9F%A6%8A"])
def test_an_invalid_username_is_rejected(web: WebHarness, name: str) -> None:
    before = web.contents()
    response = web.api.post(f"/users/{name}/followers")
    assert (response.status_code, response.json()["error"]["code"]) in (
        (422, "invalid_request"),
        (404, "not_found"),  # the client itself takes `..` for a way up
    )
    assert web.contents() == before


def test_an_export_requires_a_key(web: WebHarness) -> None:
    assert web.http.post("/users/some.handle/followers").status_code == 401


def test_the_same_idempotency_key_and_request_return_the_same_export(web: WebHarness) -> None:
    first = ask(web, {"limit": 10}, **{"Idempotency-Key": "k"})
    again = web.api.post(
        "/users/@SOME.handle/followers", json={"limit": 10}, headers={"Idempotency-Key": "k"}
    )
    assert again.json() == first.json()
    for other in (
        ask(web, {"limit": 11}, **{"Idempotency-Key": "k"}),
        ask(web, {"limit": 10}, kind="following", **{"Idempotency-Key": "k"}),
    ):
        assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")
    stranger = {"Idempotency-Key": "k", "Authorization": f"Bearer {OTHER_KEY}"}
    assert ask(web, {"limit": 10}, **stranger).json()["id"] != first.json()["id"]


@pytest.mark.parametrize(
    ("role", "body", "status", "code"),
    [
        ("write", {}, 503, "no_account"),
        ("write", {"account": "shop"}, 422, "invalid_request"),
        ("both", {}, 202, None),
        ("read", {"account": "shop"}, 202, None),
    ],
)
def test_only_accounts_that_may_read_are_used(
    store: redis.Redis,
    store_url: str,
    tmp_path: Path,
    role: str,
    body: dict[str, Any],
    status: int,
    code: str | None,
) -> None:
    with (
        run_web(store_url, tmp_path, ONE_ACCOUNT.format(role=role)) as port,
        connect(port, store) as web,
    ):
        response = ask(web, body)
    assert response.status_code == status
    assert (response.json()["error"] or {}).get("code") == code


def test_progress_is_shown_while_an_export_runs_and_waits(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    job_id = ask(web).json()["id"]
    claim_and_append(ledger, job_id, (), "0", expected=2_450)
    claim_and_append(ledger, job_id, rows(0, 200), "1", expected=2_450)
    waiting = web.api.get(f"/jobs/{job_id}").json()
    assert waiting["progress"]["eta"] is not None
    assert waiting["progress"] | {"eta": None} == {
        "pages": 1,
        "users": 200,
        "expected": 2_450,
        "limit": None,
        "eta": None,
    }


def test_the_documentation_describes_an_export_and_its_rows(web: WebHarness) -> None:
    paths = web.http.get("/openapi.json").json()["paths"]
    for kind in ("followers", "following"):
        responses = paths[f"/users/{{username}}/{kind}"]["post"]["responses"]
        example = responses["202"]["content"]["application/json"]["example"]
        assert set(example["progress"]) == {"pages", "users", "expected", "limit", "eta"}
        assert {"422", "503"} <= set(responses)
    responses = paths["/jobs/{job_id}/result"]["get"]["responses"]
    assert {"application/x-ndjson", "text/csv", "application/json"} <= set(
        responses["200"]["content"]
    )
    assert {"406", "409", "410"} <= set(responses)
