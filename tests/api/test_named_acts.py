"""Who did something through the API is named: in the audit log, and in the timelines of jobs."""

from __future__ import annotations

import httpx
import pytest
import redis

from tests.support.ledger import LedgerHarness
from tests.support.web import KEY_OF, WebHarness, order

JOB = {"kind": "dm", "account": "shop", "to": "some.handle", "text": "Hello"}


def act(
    web: WebHarness, method: str, path: str, key: str = "admin", **more: object
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {KEY_OF[key]}"}
    response = web.http.request(method, path, headers=headers, json=more or None)
    assert response.status_code < 300, response.text
    return response


def timeline(web: WebHarness, job_id: str) -> list[tuple[str, str]]:
    items = web.api.get(f"/jobs/{job_id}/timeline").json()["items"]
    return [(each["status"], each["by"]) for each in items]


@pytest.mark.parametrize(
    ("method", "path", "decision"),
    [
        ("POST", "/accounts/shop/pause", "hold"),
        ("POST", "/accounts/shop/resume", "resume"),
        ("POST", "/pause", "hold"),
        ("POST", "/resume", "resume"),
        ("PUT", "/suppressions/some.handle", "suppress"),
        ("DELETE", "/people/some.handle", "erase"),
    ],
)
def test_an_act_is_audited_with_the_name_of_the_key(
    web: WebHarness, method: str, path: str, decision: str
) -> None:
    act(web, method, path)
    (entry,) = web.api.get("/audit").json()["items"]
    assert (entry["decision"], entry["by"], entry["address"]) == (
        decision,
        "api:admin",
        "127.0.0.1",
    )


def test_the_timeline_of_a_job_says_which_key_created_and_canceled_it(web: WebHarness) -> None:
    job_id = act(web, "POST", "/jobs", "jobs", **JOB).json()["id"]
    act(web, "POST", f"/jobs/{job_id}/cancel")
    assert timeline(web, job_id) == [("queued", "api:jobs"), ("canceled", "api:admin")]


def test_a_job_that_waits_or_is_rejected_from_the_beginning_says_it_as_well(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    ledger.claim(ledger.add_job())
    waiting = act(web, "POST", "/jobs", "jobs", **JOB, metadata={"n": 2}).json()["id"]
    assert timeline(web, waiting)[0] == ("queued", "api:jobs")
    act(web, "PUT", "/suppressions/left.alone")
    rejected = act(web, "POST", "/jobs", "jobs", **{**JOB, "to": "left.alone"}).json()["id"]
    assert timeline(web, rejected) == [("queued", "api:jobs"), ("failed", "api:jobs")]


def test_jobs_of_a_replay_name_the_key_and_those_of_the_event_do_not(
    web: WebHarness, store: redis.Redis
) -> None:
    (first,) = web.deliver("stripe", order("stripe")).json()["jobs"]
    assert timeline(web, first) == [("queued", "intake")]
    # As if the event had come before there was the rule.
    store.delete(f"hg:job:{first}", f"hg:jobtl:{first}")
    store.hset("hg:event:stripe:evt_1", "jobs", "[]")
    (second,) = act(web, "POST", "/events/evt_1/replay", "jobs").json()["created"]
    assert timeline(web, second)[0] == ("queued", "api:jobs")
