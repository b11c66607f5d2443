"""What `GET /jobs/{id}` shows beside the job's record."""

from __future__ import annotations

from typing import Any

import pytest

from service.encryption.cipher import Cipher
from service.jobs.model import Status
from tests.support.ledger import PERSON_KEYS, LedgerHarness, open_ledger
from tests.support.people import erase
from tests.support.web import WebHarness

DM: dict[str, Any] = {"kind": "dm", "account": "shop", "to": "some.handle", "text": "Hello"}
PHOTO = "https://example.com/receipts/7.png"
SITE = "https://www.instagram.com"


def make(web: WebHarness, **changes: Any) -> str:
    job_id: str = web.api.post("/jobs", json=DM | changes).json()["id"]
    return job_id


def shown(web: WebHarness, job_id: str) -> dict[str, Any]:
    job: dict[str, Any] = web.api.get(f"/jobs/{job_id}").json()
    return job


def know(web: WebHarness, name: str, *cached: str) -> None:
    """Leave what a lookup leaves of a user."""
    web.store.sadd(f"hg:traces:{PERSON_KEYS.key(name)}", *cached)


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (Status.SUCCEEDED, None),
        (Status.FAILED, "Hello"),
        (Status.UNCERTAIN, "Hello"),
    ],
)
def test_a_text_is_shown_while_it_is_kept(
    web: WebHarness, ledger: LedgerHarness, end: Status, text: str | None
) -> None:
    job_id = make(web)
    assert shown(web, job_id)["text"] == "Hello"
    ledger.finish(ledger.claim_and_send(job_id), end)
    assert shown(web, job_id)["text"] == text


def test_of_a_photo_its_address_is_shown(web: WebHarness) -> None:
    job_id = make(web, text=None, photo=PHOTO)
    assert (shown(web, job_id)["text"], shown(web, job_id)["photo"]["from"]) == (PHOTO, "url")


def test_a_text_that_cannot_be_decrypted_says_so(web: WebHarness, store_url: str) -> None:
    other = Cipher.of("another secret key of thirty-two characters")
    with open_ledger(store_url, cipher=other) as ledger:
        job_id = ledger.add_job()

    job = shown(web, job_id)

    assert (job["text"], job["text_error"]["code"]) == (None, "text_unreadable")


@pytest.mark.parametrize(
    ("to", "profile"),
    [("some.handle", "some.handle"), ("@123", "123"), ("Some.Handle", "some.handle")],
)
def test_a_recipient_links_to_their_profile(web: WebHarness, to: str, profile: str) -> None:
    assert shown(web, make(web, to=to))["links"]["profile"] == f"{SITE}/{profile}/"


def test_a_recipient_by_id_links_to_the_profile_that_is_known(web: WebHarness) -> None:
    job_id = make(web, to="314159")
    assert shown(web, job_id)["links"]["profile"] is None
    know(web, "pk:314159", "hg:pk:some.handle", "hg:found:user:some.handle", "hg:known:other")
    assert shown(web, job_id)["links"]["profile"] == f"{SITE}/some.handle/"


def test_a_recipient_by_id_with_two_names_links_to_neither(web: WebHarness) -> None:
    job_id = make(web, to="314159")
    know(web, "pk:314159", "hg:pk:some.handle", "hg:pk:new.handle")
    assert shown(web, job_id)["links"]["profile"] is None


@pytest.mark.parametrize("post", ["CxyZabcDEfg", "3202734052344612832", "3202734052344612832_5"])
def test_a_comment_links_to_its_post(web: WebHarness, post: str) -> None:
    job_id = make(web, kind="comment", to=None, post=post)
    links = shown(web, job_id)["links"]
    assert links == {"profile": None, "post": f"{SITE}/p/CxyZabcDEfg/"}


def test_a_job_that_was_sent_links_to_its_thread(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = make(web)
    claim = ledger.claim_and_send(job_id)
    result = {"message_id": "1", "thread_id": "340282366841710300949128", "client_context": "2"}
    step = ledger.claims.finish(claim, Status.SUCCEEDED, result=result)
    ledger.run(step)
    thread = shown(web, job_id)["thread"]
    assert thread == {"id": result["thread_id"], "url": f"{SITE}/direct/t/{result['thread_id']}/"}


def test_a_thread_whose_id_is_no_number_is_not_linked_to(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    job_id = make(web)
    result = {"message_id": "1", "thread_id": "../../evil", "client_context": "2"}
    ledger.run(ledger.claims.finish(ledger.claim_and_send(job_id), Status.SUCCEEDED, result=result))
    assert shown(web, job_id)["thread"] is None


def test_nothing_of_an_erased_person_is_shown(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = make(web)
    ledger.finish(ledger.claim_and_send(job_id), Status.UNCERTAIN)
    assert erase(ledger).done

    job = shown(web, job_id)

    assert (job["text"], job["thread"], job["links"]) == (
        None,
        None,
        {"profile": None, "post": None},
    )
    assert job["tried"]["write_token"] is None


def test_an_unknown_job_is_not_found(web: WebHarness) -> None:
    for query in ("", "?wait=1"):
        answer = web.api.get(f"/jobs/job_unknown{query}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_job")
