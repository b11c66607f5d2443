"""Changes of records that a newer release has written, while both releases run."""

from __future__ import annotations

from typing import Any

import pytest

from service.jobs.lua.hash_encoding import RECORD_VERSION
from tests.support.web import WebHarness, order

DM: dict[str, Any] = {"kind": "dm", "account": "shop", "to": "some.handle", "text": "Hello"}


@pytest.mark.parametrize("action", ["cancel", "retry", "settle"])
def test_changing_a_job_of_a_newer_release_is_refused_and_says_so(
    web: WebHarness, action: str
) -> None:
    job_id = web.api.post("/jobs", json=DM).json()["id"]
    web.store.hset(f"hg:job:{job_id}", "v", 7)
    before = web.contents()

    refused = web.api.post(f"/jobs/{job_id}/{action}", json={"as": "sent"})

    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (409, "newer_release")
    assert f"record version 7; this process knows up to {RECORD_VERSION}" in error["message"]
    assert "when the deploy is complete" in error["message"]
    assert web.contents() == before
    assert web.api.get(f"/jobs/{job_id}").status_code == 200


def test_replaying_an_event_of_a_newer_release_is_refused_and_says_so(web: WebHarness) -> None:
    web.deliver("stripe", order("stripe", "evt_1"))
    web.store.hset("hg:event:stripe:evt_1", "v", 7)
    before = web.contents()

    refused = web.api.post("/events/evt_1/replay")

    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "newer_release")
    assert "record version 7" in refused.json()["error"]["message"]
    assert web.contents() == before
