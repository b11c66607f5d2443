"""A DM whose outcome no verification can tell, through HTTP, the real client and a real worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from actors.jobs.next_steps import VERIFY_BACKOFF_SECONDS
from deploy.local.instagram.client import FakeInstagram
from service.jobs.model import Status
from tests.support import fake_instagram as fixtures
from tests.support.account_worker import AccountWorker, open_account_worker
from tests.support.ledger import HOUR
from tests.support.web import WebHarness, web, web_port

__all__ = ["web", "web_port"]

fake_instagram_process = fixtures.fake_instagram_process
fake_instagram = fixtures.fake_instagram

HANDLE, TEXT = "some.handle", "Thank you, Jenny!"
DM: Final = {"kind": "dm", "account": "shop", "to": HANDLE, "text": TEXT, "callback": "crm"}


@pytest.fixture
def worker(
    web: WebHarness, fake_instagram: FakeInstagram, store_url: str
) -> Iterator[AccountWorker]:
    with open_account_worker(store_url, fake_instagram) as worker:
        fake_instagram.add_user(HANDLE)
        yield worker


def create(web: WebHarness, **changes: Any) -> str:
    job_id: str = web.api.post("/jobs", json=DM | changes).json()["id"]
    return job_id


def shown(web: WebHarness, job_id: str) -> dict[str, Any]:
    job: dict[str, Any] = web.api.get(f"/jobs/{job_id}").json()
    return job


def until_uncertain(worker: AccountWorker, job_id: str) -> None:
    """Work until the job is uncertain."""
    for _ in range(20):
        worker.run_due(HOUR)
        if worker.ledger.status(job_id) is Status.UNCERTAIN:
            return
    raise AssertionError(worker.ledger.status(job_id))


@pytest.fixture
def unreadable(web: WebHarness, worker: AccountWorker) -> str:
    """A DM that arrived; its reply was lost, and its thread cannot be read."""
    worker.run_due(HOUR)
    worker.fake_instagram.fault("broadcast_*", "drop_after")
    worker.fake_instagram.fault("thread", status=500, times=1_000)
    job_id = create(web)
    until_uncertain(worker, job_id)
    return job_id


def test_an_uncertain_dm_says_what_was_to_be_sent_where_to_look_and_what_was_tried(
    web: WebHarness, worker: AccountWorker, unreadable: str
) -> None:
    job = shown(web, unreadable)

    [dm] = worker.fake_instagram.dms()
    assert (job["status"], job["text"], job["text_error"]) == ("uncertain", TEXT, None)
    thread_url = f"https://www.instagram.com/direct/t/{dm['thread_id']}/"
    assert job["thread"] == {"id": dm["thread_id"], "url": thread_url}
    assert job["links"] == {"profile": f"https://www.instagram.com/{HANDLE}/", "post": None}
    tried = job["tried"]
    assert tried["write_token"] == dm["client_context"]
    [attempt] = tried["attempts"]
    assert attempt["intent_at"] == tried["intent_at"] >= attempt["at"]
    assert attempt["outcome"] == "unconfirmed"
    lookups = tried["verifications"]
    assert len(lookups) == len(VERIFY_BACKOFF_SECONDS) + 1
    assert {(each["outcome"], each["reason"]) for each in lookups} == {("failed", "server_error")}
    assert [each["read"] for each in lookups[:-1]] == [None] * (len(lookups) - 1)
    assert lookups[-1]["read"] == {
        "pages": 0,
        "rows": 0,
        "matching": 0,
        "similar": 0,
        "complete": False,
    }


def test_an_uncertain_dm_that_is_there_is_settled_in_one_request_and_not_sent_again(
    web: WebHarness, worker: AccountWorker, unreadable: str
) -> None:
    answer = web.api.post(f"/jobs/{unreadable}/settle", json={"as": "sent", "note": "it is there"})

    [dm] = worker.fake_instagram.dms()
    result = answer.json()["result"]
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")
    assert (result["thread_id"], result["client_context"]) == (
        dm["thread_id"],
        dm["client_context"],
    )
    worker.fake_instagram.clear_faults()
    worker.run_due(HOUR)
    assert len(worker.fake_instagram.dms()) == 1
    job = shown(web, unreadable)
    assert (job["text"], job["thread"]["id"]) == (None, dm["thread_id"])


def test_a_retry_after_a_wrong_settlement_finds_the_dm_and_does_not_send_it_again(
    web: WebHarness, worker: AccountWorker, unreadable: str
) -> None:
    web.api.post(f"/jobs/{unreadable}/settle", json={"as": "not_sent"}).raise_for_status()
    worker.fake_instagram.clear_faults()
    web.api.post(f"/jobs/{unreadable}/retry").raise_for_status()

    worker.run_due(HOUR)

    job = shown(web, unreadable)
    [dm] = worker.fake_instagram.dms()
    assert (job["status"], job["result"]["message_id"]) == ("succeeded", dm["item_id"])
    assert job["tried"]["verifications"][-1]["outcome"] == "found"


def test_a_dm_that_never_arrives_says_what_every_lookup_has_read(
    web: WebHarness, worker: AccountWorker
) -> None:
    # Given a conversation with another message in it, and writes that are lost on their way
    first = create(web, text="Hello")
    worker.run_due()
    worker.fake_instagram.fault("broadcast_*", "drop_before", times=3)
    job_id = create(web)
    until_uncertain(worker, job_id)

    tried = shown(web, job_id)["tried"]

    assert [attempt["outcome"] for attempt in tried["attempts"]] == ["unconfirmed"] * 3
    assert {each["outcome"] for each in tried["verifications"]} == {"not_found"}
    assert tried["verifications"][-1]["read"] == {
        "pages": 1,
        "rows": 1,
        "matching": 0,
        "similar": 0,
        "complete": True,
    }
    assert shown(web, first)["thread"] == shown(web, job_id)["thread"]


def test_lists_have_no_texts(web: WebHarness, worker: AccountWorker) -> None:
    create(web)
    assert TEXT not in web.api.get("/jobs").text
