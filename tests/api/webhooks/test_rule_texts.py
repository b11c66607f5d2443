"""What strangers type arrives through a webhook: the event is kept, and each rule is for itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.support.web import CONFIG, WebHarness, connect, run_web

RULE = """
[[rules]]
name = "{name}"
source = "stripe"
event = "order.typed"
action = "dm"
account = "shop"
to = "{to}"
text = "{text}"
"""
RULES = (
    RULE.format(name="broken", to="some.handle", text="{{ object.id | truncate(-1) }}")
    + RULE.format(name="costly", to="some.handle", text="{{ 'x' * 10 ** 9 }}")
    + RULE.format(name="greeting", to="{{ object.handle }}", text="Hi {{ object.name }}!")
)


@pytest.fixture
def typing_web(store: redis.Redis, store_url: str, tmp_path: Path) -> Iterator[WebHarness]:
    """The application with rules about what customers type."""
    config = f'{CONFIG}{RULES}\n[recipients]\nno_answers = ["Gast"]\n'
    with run_web(store_url, tmp_path, config) as port, connect(port, store) as found:
        yield found


def deliver(web: WebHarness, **data: Any) -> dict[str, dict[str, Any]]:
    """Deliver an event; return its jobs by the rules that made them."""
    event = {"id": "evt_typed", "type": "order.typed", "data": {"object": {"id": "o_1", **data}}}
    answer = web.deliver("stripe", json.dumps(event).encode())
    assert answer.status_code == 202
    assert web.api.get("/events/evt_typed").json()["status"] == "accepted"
    jobs = [web.api.get(f"/jobs/{job}").json() for job in answer.json()["jobs"]]
    return {job["source"]["rule"]: job for job in jobs}


def test_rules_that_fail_stop_neither_the_event_nor_each_other(typing_web: WebHarness) -> None:
    jobs = deliver(typing_web, handle="@Some.Handle!", name="Jenny")

    assert {rule: job["status"] for rule, job in jobs.items()} == {
        "broken": "failed",
        "costly": "failed",
        "greeting": "queued",
    }
    assert jobs["broken"]["error"]["code"] == "template_failed"
    assert "text: truncate" in jobs["broken"]["error"]["message"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"handle": "n/a", "name": "Jenny"}, "invalid_recipient"),
        ({"handle": "Gast", "name": "Jenny"}, "invalid_recipient"),
        ({"handle": "some.handle", "name": "evil.com"}, "link_not_allowed"),
    ],
)
def test_what_may_not_be_sent_is_a_failed_job(
    typing_web: WebHarness, data: dict[str, str], code: str
) -> None:
    job = deliver(typing_web, **data)["greeting"]

    assert (job["status"], job["error"]["code"]) == ("failed", code)


def test_the_answers_of_the_file_count_for_callers_too(typing_web: WebHarness) -> None:
    dm = {"kind": "dm", "account": "shop", "text": "Hello"}

    refused = typing_web.api.post("/jobs", json={**dm, "to": "gast"})
    named = typing_web.api.post("/jobs", json={**dm, "to": "@gast"})

    assert (refused.status_code, named.status_code) == (422, 202)
    assert refused.json()["error"]["fields"][0]["field"] == "to"
