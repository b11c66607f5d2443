"""Who may not see people sees no recipient, text or metadata, whatever route is asked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx
import pytest

from service.jobs.masking import MASK
from service.jobs.model import Status
from tests.support.event_streams import WebSocket, subscribe
from tests.support.ledger import LedgerHarness
from tests.support.routes import application, routes
from tests.support.web import KEY_OF, WebHarness, order

#: Is in everything that shows a person.
CANARY: Final = "canary"
HANDLE: Final = f"{CANARY}.bird"
JOB: Final = {
    "kind": "dm",
    "account": "shop",
    "to": HANDLE,
    "text": f"Thank you, {CANARY}!",
    "callback": "crm",
    "metadata": {f"{CANARY} key": f"{CANARY} value"},
}
RESULT: Final = {"message_id": "1", "thread_id": f"{CANARY} thread", "client_context": "2"}
#: Reads that are not answered with one JSON document, or have no person but whom they ask for.
ELSEWHERE: Final = ("/live", "/users", "/posts", "/docs", "/redoc", "/openapi.json", "/metrics")
READS: Final = [
    name.partition(" ")[2]
    for name, _ in routes(application())
    if name.startswith("GET ") and not any(each in name for each in ELSEWHERE)
]


@pytest.fixture
def names(web: WebHarness, ledger: LedgerHarness) -> dict[str, str]:
    """What the paths of routes name, each with the canary in it."""
    web.deliver("stripe", order("stripe", note=CANARY)).raise_for_status()
    (paid,) = web.api.get("/events").json()["items"][0]["jobs"]
    ledger.finish(ledger.claim_and_send(paid))
    job_id = web.api.post("/jobs", json=JOB).json()["id"]
    claim = ledger.claim_and_send(job_id)
    assert ledger.run(ledger.claims.finish(claim, Status.SUCCEEDED, result=RESULT))
    reason = {"reason": f"{CANARY} asked"}
    web.api.put(f"/suppressions/{HANDLE}", json=reason).raise_for_status()
    return {
        "job_id": job_id,
        "delivery_id": f"dlv_{job_id.removeprefix('job_')}_1",
        "event_id:path": "evt_1",
        "name": "shop",
        "username": HANDLE,
        "handle": HANDLE,
    }


@contextmanager
def client(web: WebHarness, scope: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {KEY_OF[scope]}"}
    with httpx.Client(base_url=web.http.base_url, trust_env=False, headers=headers) as found:
        yield found


@pytest.fixture
def reader(web: WebHarness) -> Iterator[httpx.Client]:
    """A client that may only read."""
    with client(web, "read") as found:
        yield found


def filled(path: str, names: dict[str, str]) -> str:
    return re.sub(r"\{([^}]*)\}", lambda match: names.get(match[1], "nothing"), path)


def shown(response: httpx.Response, asked: str) -> str:
    """An answer, without what the request itself says."""
    return response.text.replace(asked, "")


@pytest.mark.parametrize("path", READS)
def test_a_key_that_may_only_read_sees_no_person(
    web: WebHarness, reader: httpx.Client, names: dict[str, str], path: str
) -> None:
    asked = filled(path, names)
    response = reader.get(asked)
    assert CANARY not in shown(response, asked)
    assert response.status_code in (403, web.api.get(asked).status_code)


@pytest.mark.parametrize(
    "path",
    [
        "/jobs",
        "/jobs/{job_id}",
        "/jobs/{job_id}/result",
        "/events/{event_id:path}",
        "/deliveries/{delivery_id}",
        "/audit",
        "/suppressions",
        "/suppressions/{username}",
    ],
)
def test_what_is_masked_for_a_reader_is_there_for_others(
    web: WebHarness, reader: httpx.Client, names: dict[str, str], path: str
) -> None:
    asked = filled(path, names)
    with client(web, "jobs") as jobs:
        assert CANARY in jobs.get(asked).text
    assert MASK in reader.get(asked).text


def test_a_masked_job_says_that_it_has_what_it_does_not_show(
    reader: httpx.Client, names: dict[str, str]
) -> None:
    job = reader.get(f"/jobs/{names['job_id']}").json()
    assert (job["to"], job["post"], job["metadata"]) == (MASK, None, {"masked": True})
    assert job["result"] == {**RESULT, "thread_id": MASK}


def test_a_key_for_accounts_sees_whom_it_suppresses_and_nobody_else(
    web: WebHarness, names: dict[str, str]
) -> None:
    with client(web, "accounts") as accounts:
        assert HANDLE in accounts.get("/suppressions").text
        assert HANDLE in accounts.get(f"/suppressions/{HANDLE}").text
        assert CANARY not in accounts.get("/jobs").text


def test_live_updates_are_masked(
    web: WebHarness, reader: httpx.Client, names: dict[str, str]
) -> None:
    path = f"/jobs/{names['job_id']}/live"
    with subscribe(reader, path) as stream:
        received = [each.data for each in stream]
    assert received[-1]["result"] == {**RESULT, "thread_id": MASK}
    with WebSocket(web.port, path, {"Authorization": reader.headers["Authorization"]}) as socket:
        assert [each.data for each in socket.take(len(received))] == received
    with subscribe(reader, "/live", "0-1") as stream:
        assert CANARY not in json.dumps([each.data for each in stream.take(3)])


def test_the_rows_of_an_export_consist_of_people(
    web: WebHarness, reader: httpx.Client, names: dict[str, str]
) -> None:
    export = web.api.post(f"/users/{HANDLE}/followers").json()["id"]
    refused = reader.get(f"/jobs/{export}/result")
    assert (refused.status_code, refused.json()["error"]["scope"]) == (403, "jobs")
    assert reader.get(f"/jobs/{export}").json()["to"] == MASK


@pytest.mark.parametrize("query", ["to=some.handle", "metadata[order]=1"])
def test_a_reader_cannot_ask_which_jobs_are_about_whom(reader: httpx.Client, query: str) -> None:
    assert reader.get(f"/jobs?{query}").status_code == 403
    assert reader.get("/jobs?rule=thank-you").status_code == 200


def test_a_reader_that_knows_a_handle_may_ask_whether_it_is_suppressed(
    reader: httpx.Client, names: dict[str, str]
) -> None:
    found: Any = reader.get(f"/suppressions/{HANDLE}")
    assert (found.status_code, found.json()["username"]) == (200, MASK)


def test_no_cursor_of_a_masked_list_names_a_person(
    web: WebHarness, reader: httpx.Client, names: dict[str, str]
) -> None:
    for number in range(2):
        web.api.put(f"/suppressions/{HANDLE}{number}").raise_for_status()
    first = reader.get("/suppressions", params={"limit": 2}).json()
    assert CANARY not in first["next"]
    rest = reader.get("/suppressions", params={"limit": 2, "cursor": first["next"]}).json()
    assert (len(first["items"]), len(rest["items"]), rest["next"]) == (2, 1, None)
    changed = reader.get("/suppressions", params={"cursor": first["next"][:-3] + "AAA"})
    assert (changed.status_code, changed.json()["error"]["fields"][0]["field"]) == (422, "cursor")


def test_what_a_person_wrote_of_a_settled_job_and_where_it_is_are_masked(
    web: WebHarness, ledger: LedgerHarness, reader: httpx.Client
) -> None:
    # Given a job that was settled with a note, and one whose thread is known
    job_id = web.api.post("/jobs", json=JOB).json()["id"]
    ledger.finish(ledger.claim_and_send(job_id), Status.UNCERTAIN)
    settlement = {"as": "sent", "note": f"{CANARY} has it"}
    web.api.post(f"/jobs/{job_id}/settle", json=settlement).raise_for_status()
    sent = web.api.post("/jobs", json=JOB).json()["id"]
    claim, result = ledger.claim_and_send(sent), {**RESULT, "thread_id": "34028236684171"}
    assert ledger.run(ledger.claims.finish(claim, Status.SUCCEEDED, result=result))

    delivery_id = f"dlv_{job_id.removeprefix('job_')}_2"
    for path in (f"/jobs/{job_id}", f"/jobs/{job_id}/result", f"/deliveries/{delivery_id}"):
        assert CANARY in web.api.get(path).text
        assert CANARY not in reader.get(path).text
    notes = [entry["note"] for entry in reader.get("/audit?limit=2").json()["items"]]
    assert notes == [None, MASK]
    job = reader.get(f"/jobs/{sent}").json()
    assert job["thread"] == {"id": MASK, "url": MASK}
    assert job["links"] == {"profile": MASK, "post": None}


def test_a_head_request_of_a_masked_key_is_answered(
    reader: httpx.Client, names: dict[str, str]
) -> None:
    head = reader.head(f"/jobs/{names['job_id']}")
    assert head.status_code in (200, 405)
    assert head.content == b""
