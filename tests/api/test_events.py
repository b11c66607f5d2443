"""Events: showing them, and replaying them with newer rules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import redis

from service.jobs.model import derived_id
from tests.support.mended_rule import mended_web, paid, wrong_web
from tests.support.web import CONFIG, WebHarness, connect, order, run_web

__all__ = ["mended_web", "wrong_web"]

NEW_RULE = """
[[rules]]
name = "later"
source = "{source}"
event = "order.*"
action = "comment"
account = "shop"
post = "CxyZabcDEfg"
text = "Congratulations!"
"""
ODD_IDS = (
    "a/b",
    "a/b/replay",
    "replay",
    "/",
    "a?b=c#d",
    "ä 😀",
    "a%2Fb",
    "a:b",
    "../x",
    "a\\b",
    "*",
)


@pytest.fixture
def updated_web(store_url: str, store: redis.Redis, tmp_path: Path) -> Iterator[WebHarness]:
    """The same application after a deploy that added a rule for two sources."""
    rules = NEW_RULE.format(source="stripe") + NEW_RULE.format(source="unset").replace(
        "later", "never"
    )
    with run_web(store_url, tmp_path, CONFIG + rules) as port, connect(port, store) as found:
        yield found


def test_events_are_listed_newest_first_a_page_at_a_time(web: WebHarness) -> None:
    for number in range(5):
        web.deliver("stripe", order("stripe", f"evt_{number}"))
    first = web.api.get("/events", params={"limit": 3}).json()
    second = web.api.get("/events", params={"limit": 3, "cursor": first["next"]}).json()
    ids = [event["id"] for event in first["items"] + second["items"]]
    assert ids == [f"evt_{number}" for number in range(4, -1, -1)]
    assert second["next"] is None


def test_an_event_shows_its_body_jobs_and_rule_results(web: WebHarness) -> None:
    body = order("stripe", livemode=False)
    jobs = web.deliver("stripe", body).json()["jobs"]
    event = web.api.get("/events/evt_1").json()
    assert event["body"] == body.decode()
    assert event["jobs"] == jobs
    assert event["livemode"] is False
    assert event["rules"] == [{"rule": "stripe-order", "outcome": "matched", "message": None}]
    assert event["received_at"].endswith("Z")


@pytest.mark.parametrize("event_id", ODD_IDS, ids=range(len(ODD_IDS)))
def test_an_id_with_odd_characters_is_found_when_encoded(web: WebHarness, event_id: str) -> None:
    jobs = web.deliver("stripe", order("stripe", event_id)).json()["jobs"]
    path = f"/events/{quote(event_id, safe='')}"
    assert web.api.get(path).json()["id"] == event_id
    replayed = web.api.post(f"{path}/replay")
    assert replayed.status_code == 202
    assert replayed.json() == {
        "event_id": event_id,
        "jobs": jobs,
        "created": [],
        "replaced": [],
    }


@pytest.mark.parametrize("event_id", ["nope", "%00", "evt_1%20", "", "x" * 3000, "%ED%A0%80"])
def test_an_unknown_event_is_not_found(web: WebHarness, event_id: str) -> None:
    web.deliver("stripe", order("stripe"))
    before = web.contents()
    for answer in (
        web.api.get(f"/events/{event_id}"),
        web.api.post(f"/events/{event_id}/replay"),
        web.api.get("/events/evt_1", params={"source": "github"}),
    ):
        assert answer.status_code == 404
        assert set(answer.json()["error"]) == {"code", "message"}
    assert web.contents() == before


def test_an_id_of_two_sources_requires_the_source(web: WebHarness) -> None:
    # Given
    web.deliver("stripe", order("stripe"))
    web.deliver("stripe", order("stripe"), source="rotating")

    # Then
    for answer in (web.api.get("/events/evt_1"), web.api.post("/events/evt_1/replay")):
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "ambiguous_event")
        assert sorted(answer.json()["error"]["sources"]) == ["rotating", "stripe"]
    named = web.api.get("/events/evt_1", params={"source": "rotating"}).json()
    assert (named["source"], named["jobs"]) == ("rotating", [])
    replayed = web.api.post("/events/evt_1/replay?source=stripe")
    assert replayed.json()["created"] == []


def test_a_replay_creates_only_the_missing_job(web: WebHarness, updated_web: WebHarness) -> None:
    # Given an event from before the rule
    (old,) = web.deliver("stripe", order("stripe")).json()["jobs"]

    # When
    replayed = updated_web.api.post("/events/evt_1/replay")

    # Then
    new = derived_id("job", "stripe", "evt_1", "later")
    assert replayed.status_code == 202
    assert replayed.json() == {
        "event_id": "evt_1",
        "jobs": [old, new],
        "created": [new],
        "replaced": [],
    }
    assert updated_web.api.get(f"/jobs/{new}").json()["kind"] == "comment"
    event = updated_web.api.get("/events/evt_1").json()
    assert event["jobs"] == [old, new]
    assert [note["rule"] for note in event["rules"]] == ["stripe-order", "later"]


def test_a_second_replay_creates_nothing(web: WebHarness, updated_web: WebHarness) -> None:
    web.deliver("stripe", order("stripe"))
    first = updated_web.api.post("/events/evt_1/replay").json()
    before = updated_web.contents()
    again = updated_web.api.post("/events/evt_1/replay").json()
    assert again == {**first, "created": []}
    after = updated_web.contents()
    assert after.pop(b"hg:audit") != before.pop(b"hg:audit")
    assert after == before


def test_a_duplicate_after_a_replay_names_all_jobs(
    web: WebHarness, updated_web: WebHarness
) -> None:
    web.deliver("stripe", order("stripe"))
    jobs = updated_web.api.post("/events/evt_1/replay").json()["jobs"]
    assert updated_web.deliver("stripe", order("stripe")).json()["jobs"] == jobs


def test_a_header_named_event_is_replayed_with_its_name(web: WebHarness) -> None:
    event_id = web.deliver("github", order("github")).json()["event_id"]
    assert web.api.get(f"/events/{event_id}").json()["type"] == "order.paid"
    replayed = web.api.post(f"/events/{event_id}/replay").json()
    assert replayed["created"] == []


@pytest.mark.parametrize(
    ("source", "body", "status"),
    [
        ("live", order("stripe", livemode=False), "ignored"),
        ("stripe", b"[]", "quarantined"),
        ("stripe", order("stripe", data={"n": 2}), "conflict"),
    ],
)
def test_an_event_that_was_not_accepted_is_not_replayed(
    web: WebHarness, source: str, body: bytes, status: str
) -> None:
    # Given
    web.deliver("stripe", order("stripe", "evt_1"))
    web.deliver("stripe", body, source=source)
    kept = next(e for e in web.api.get("/events").json()["items"] if e["status"] == status)
    before = web.contents()

    # Then
    response = web.api.post(f"/events/{kept['id']}/replay", params={"source": source})
    assert (response.status_code, response.json()["error"]["code"]) == (409, "not_replayable")
    assert status in response.json()["error"]["message"]
    assert web.contents() == before


def test_an_event_without_its_body_is_shown_but_not_replayed(web: WebHarness) -> None:
    web.deliver("stripe", order("stripe"))
    web.store.delete("hg:encbody:stripe:evt_1")
    assert web.api.get("/events/evt_1").json()["body"] is None
    response = web.api.post("/events/evt_1/replay")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "body_gone")


def test_an_event_of_a_removed_source_is_not_replayed(
    web: WebHarness, store: redis.Redis, store_url: str, tmp_path: Path
) -> None:
    web.deliver("github", order("github"))
    (event,) = web.api.get("/events").json()["items"]
    only_accounts = '[accounts.shop]\nusername = "shop"\npassword = "env:INSTAGRAM_PASSWORD"\n'
    with run_web(store_url, tmp_path, only_accounts) as port, connect(port, store) as bare:
        response = bare.api.post(f"/events/{event['id']}/replay")
        assert (response.status_code, response.json()["error"]["code"]) == (409, "source_gone")


def test_a_body_of_the_maximum_size_is_returned_whole(web: WebHarness) -> None:
    body = order("stripe", filler="é" * 10_000)
    web.deliver("stripe", body)
    assert json.loads(web.api.get("/events/evt_1").json()["body"]) == json.loads(body)


def test_an_event_whose_body_cannot_be_decrypted_is_shown_with_the_reason(web: WebHarness) -> None:
    # Given a body that was moved from another event
    web.deliver("stripe", order("stripe"))
    web.deliver("stripe", order("stripe", "evt_2"))
    web.store.copy("hg:encbody:stripe:evt_2", "hg:encbody:stripe:evt_1", replace=True)
    # Then it is shown without it, listed, and not replayed
    shown = web.api.get("/events/evt_1")
    assert (shown.status_code, shown.json()["body"]) == (200, None)
    assert shown.json()["body_error"]["code"] == "body_unreadable"
    assert "SECRET_KEY" in shown.json()["body_error"]["message"]
    assert len(web.api.get("/events").json()["items"]) == 2
    response = web.api.post("/events/evt_1/replay")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "body_unreadable")
    assert "body_error" not in web.api.get("/events/evt_2").json()


def test_a_replay_fills_in_a_job_whose_rule_had_a_typo(
    wrong_web: WebHarness, mended_web: WebHarness
) -> None:
    (job_id,) = wrong_web.deliver("stripe", paid(1)).json()["jobs"]
    failed = wrong_web.api.get(f"/jobs/{job_id}").json()
    assert (failed["status"], failed["error"]["code"]) == ("failed", "template_failed")
    assert wrong_web.api.post("/events/evt_1/replay").json()["replaced"] == []

    replayed = mended_web.api.post("/events/evt_1/replay").json()

    assert replayed == {
        "event_id": "evt_1",
        "jobs": [job_id],
        "created": [],
        "replaced": [job_id],
    }
    job = mended_web.api.get(f"/jobs/{job_id}").json()
    assert (job["to"], job["run"], job["status"], job["error"]) == ("h1", 2, "queued", None)
    assert mended_web.api.post("/events/evt_1/replay").json()["replaced"] == []
