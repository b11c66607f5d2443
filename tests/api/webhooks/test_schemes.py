"""Every signature scheme through the real application: accepted, duplicate, arbitrary content."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.jobs.model import derived_id
from service.signatures.verify import SCHEMES
from tests.support.real_deliveries import as_form
from tests.support.web import WebHarness, order

FIXTURES = sorted((Path(__file__).parents[2] / "fixtures" / "stripe").glob("*.json"))

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_TEXTS = st.text(max_size=300) | st.sampled_from(["evt_1", "order.paid", "a/b", "a:b", "~"])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_signed_event_is_accepted_with_its_job(web: WebHarness, scheme: str) -> None:
    # When
    response = web.deliver(scheme, order(scheme))

    # Then
    assert response.status_code == 202
    event_id = response.json()["event_id"]
    job_id = derived_id("job", scheme, event_id, f"{scheme}-order")
    assert response.json() == {"event_id": event_id, "duplicate": False, "jobs": [job_id]}
    assert web.api.get(f"/jobs/{job_id}").json()["status"] == "queued"
    assert event_id.startswith("evt_1")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_same_event_again_is_a_duplicate_with_the_same_jobs(
    web: WebHarness, scheme: str
) -> None:
    first = web.deliver(scheme, order(scheme))
    before = web.contents()
    again = web.deliver(scheme, order(scheme))
    assert again.status_code == 200
    assert again.json() == {**first.json(), "duplicate": True}
    assert web.contents() == before


def test_any_of_several_secrets_may_have_signed(web: WebHarness) -> None:
    assert web.deliver("stripe", order("stripe"), source="rotating").status_code == 200


def test_a_slack_url_verification_is_answered_and_not_stored(web: WebHarness) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "3eZbrw1aB", "token": "x"}).encode()
    response = web.deliver("slack", body)
    assert (response.status_code, response.json()) == (200, {"challenge": "3eZbrw1aB"})
    assert web.contents() == {}


def test_an_unsigned_slack_challenge_is_not_answered(web: WebHarness) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "3eZbrw1aB"}).encode()
    response = web.http.post("/webhooks/slack", content=body)
    assert response.status_code == 400
    assert "3eZbrw1aB" not in response.text


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_a_real_shaped_stripe_event_passes(web: WebHarness, path: Path) -> None:
    body = path.read_bytes()
    response = web.deliver("stripe", body)
    paid = path.stem == "checkout.session.completed"
    assert response.status_code == (202 if paid else 200)
    assert len(response.json()["jobs"]) == paid
    shown = web.api.get(f"/events/{response.json()['event_id']}").json()
    assert shown["body"] == body.decode()


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(document=st.dictionaries(st.text(), _VALUES, max_size=4), name=_TEXTS, kind=_TEXTS)
def test_no_signed_json_object_makes_the_server_fail(
    web: WebHarness, scheme: str, document: dict[str, Any], name: str, kind: str
) -> None:
    identity = {"id": name, "type": kind, "event_id": name, "event_type": kind}
    body = json.dumps({**identity, **document}).encode()
    response = web.deliver(scheme, body)
    assert response.status_code in (200, 202)
    assert set(response.json()) >= {"event_id", "jobs"} or set(response.json()) == {"challenge"}


@pytest.mark.parametrize(
    ("kind", "action"), [("view_submission", "clear"), ("view_closed", None), ("shortcut", None)]
)
def test_a_submitted_modal_of_slack_is_closed(
    web: WebHarness, kind: str, action: str | None
) -> None:
    body = as_form({"type": kind, "trigger_id": "1.2.3", "view": {"id": "V1"}})
    for _ in range(2):
        response = web.deliver("slack", body)
        assert response.status_code == 200
        assert response.json().get("response_action") == action
