"""Photos through real processes: they arrive once, clean, or not at all and with a reason."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
from typing import Any

import httpx
import pytest
import redis

from deploy.local.instagram.records import DmRecord
from deploy.local.wait import until
from tests.support.photo_host import Answer, photo_host
from tests.support.photos import (
    SECRET_COMMENT,
    SECRET_MAKER,
    encoded,
    opened,
    picture,
    png_bomb,
    telling_jpeg,
)
from tests.support.scenario import Scenario


def friend(scenario: Scenario) -> str:
    """Somebody whom the account has a conversation with."""
    name = f"f{os.urandom(6).hex()}"
    scenario.stack.fake_instagram.add_user(name)
    assert scenario.wait_final(scenario.create_dm(to=name))["status"] == "succeeded"
    return name


def upload(scenario: Scenario, to: str, photo: bytes = b"", **wanted: Any) -> httpx.Response:
    """Ask for a photo to be sent."""
    job = {"kind": "dm", "account": "shop", "to": to, "callback": "crm", **wanted}
    files = {"photo": ("photo.jpg", photo or telling_jpeg())}
    return scenario.api.post("/jobs", data={"job": json.dumps(job)}, files=files)


def uploaded(scenario: Scenario, to: str, **wanted: Any) -> str:
    """The job of an uploaded photo."""
    return str(upload(scenario, to, **wanted).raise_for_status().json()["id"])


def by_url(scenario: Scenario, to: str, url: str, **wanted: Any) -> str:
    """The job of a photo that is fetched."""
    job = {"kind": "dm", "account": "shop", "to": to, "callback": "crm", "photo": url, **wanted}
    return str(scenario.api.post("/jobs", json=job).raise_for_status().json()["id"])


def photos_to(scenario: Scenario, to: str) -> list[DmRecord]:
    """The photos that somebody has got."""
    dms = scenario.stack.fake_instagram.dms()
    return [dm for dm in dms if dm["kind"] == "photo" and dm["recipients"] == [to]]


def content_of(scenario: Scenario, dm: DmRecord) -> bytes:
    """What a photo is made of, as Instagram has it."""
    uploads = scenario.stack.fake_instagram.uploads()
    (found,) = [each for each in uploads if each["media_id"] == dm["attachment_id"]]
    return base64.b64decode(found["content"])


def is_kept(scenario: Scenario, job_id: str) -> bool:
    """Whether the store still has a job's photo."""
    with redis.Redis.from_url(scenario.stack.redis_url) as client:
        return bool(client.exists(f"hg:jobphoto:{job_id}"))


def test_an_uploaded_photo_arrives_once_and_clean(scenario: Scenario) -> None:
    # Given a conversation, and a photo that tells who took it
    to, photo = friend(scenario), telling_jpeg()
    # When it is uploaded
    job = scenario.wait_final(uploaded(scenario, to, photo=photo))
    # Then it is in the conversation, upright, and tells nothing
    assert job["status"] == "succeeded"
    (dm,) = photos_to(scenario, to)
    assert job["result"] == {
        "message_id": dm["item_id"],
        "thread_id": dm["thread_id"],
        "client_context": dm["client_context"],
    }
    content = content_of(scenario, dm)
    image = opened(content)
    assert (image.format, image.size, dict(image.getexif())) == ("JPEG", (200, 320), {})
    assert SECRET_MAKER.encode() not in content
    assert SECRET_COMMENT not in content
    assert job["photo"] == {
        "from": "upload",
        "bytes": len(content),
        "width": 200,
        "height": 320,
        "sha256": hashlib.sha256(photo).hexdigest(),
    }
    # And it is no longer here, everything went through the proxy, and its end was told
    assert not is_kept(scenario, job["id"])
    (call,) = scenario.stack.fake_instagram.log("rupload_photo")[-1:]
    assert (call["host"], call["account"]) == ("rupload.facebook.com", "shop")
    assert call["connection"] is not None
    (told,) = scenario.wait_callbacks(job["id"])
    assert told["event"]["type"] == "job.succeeded"


def test_a_photo_by_url_is_fetched_by_the_worker_and_arrives(scenario: Scenario) -> None:
    to, photo = friend(scenario), encoded(picture(3000, 1500, "RGBA"), "PNG")
    with photo_host({"/receipt?signature=s": photo}) as host:
        job = scenario.wait_final(by_url(scenario, to, host.url("/receipt?signature=s")))
    assert (job["status"], host.requested) == ("succeeded", ["/receipt?signature=s"])
    (dm,) = photos_to(scenario, to)
    assert opened(content_of(scenario, dm)).size == (1440, 720)
    assert (job["photo"]["from"], job["photo"]["width"]) == ("url", 1440)
    # And where it came from, which may be a secret, is told nowhere
    logs = "".join(log.read_text() for log in scenario.stack.directory.glob("*.log"))
    assert "signature=s" not in logs + json.dumps(job) + json.dumps(
        scenario.wait_callbacks(job["id"])
    )
    assert job["photo"]["sha256"] == hashlib.sha256(photo).hexdigest()
    assert not is_kept(scenario, job["id"])


@pytest.mark.parametrize("way", ["upload", "url"])
def test_a_photo_to_somebody_without_a_conversation_is_refused_before_any_write(
    scenario: Scenario, way: str
) -> None:
    stranger = f"s{os.urandom(6).hex()}"
    with photo_host({"/a": telling_jpeg()}) as host:
        url = host.url("/a")
        job_id = (
            uploaded(scenario, stranger) if way == "upload" else by_url(scenario, stranger, url)
        )
        job = scenario.wait_final(job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "thread_required")
    assert "send a text first" in job["error"]["message"]
    path = [each["status"] for each in scenario.api.get(f"/jobs/{job_id}/timeline").json()["items"]]
    assert "sending" not in path
    assert photos_to(scenario, stranger) == []


BAD: dict[str, tuple[bytes | Answer, str, str]] = {
    "a text named .jpg": (b"Dear Sir or Madam", "photo_not_an_image", "whatever its name"),
    "a PNG bomb": (png_bomb(), "photo_too_many_pixels", "pixels"),
    "9 MB": (bytes(9 * 1024 * 1024), "photo_too_large", "8388608 bytes"),
    "9 MB that are not announced": (
        Answer(bytes(9 * 1024 * 1024), told=False),
        "photo_too_large",
        "8388608 bytes",
    ),
    "nothing there": (Answer(status=404), "photo_url_refused", "status 404"),
    "a way on": (
        Answer(status=302, headers={"Location": "http://169.254.169.254/"}),
        "photo_url_refused",
        "not followed",
    ),
    "a gzipped one": (
        Answer(b"x", headers={"Content-Encoding": "gzip"}),
        "photo_url_refused",
        "compressed",
    ),
}


@pytest.mark.parametrize(("answer", "code", "says"), BAD.values(), ids=BAD.keys())
def test_what_is_no_photo_at_its_url_is_told_and_not_sent(
    scenario: Scenario, answer: bytes | Answer, code: str, says: str
) -> None:
    with photo_host({"/photo.jpg": answer}) as host:
        job = scenario.wait_final(by_url(scenario, "some.handle", host.url("/photo.jpg")))
    assert (job["status"], job["error"]["code"]) == ("failed", code)
    assert says in job["error"]["message"]
    assert not is_kept(scenario, job["id"])


def test_a_name_that_leads_inside_is_not_fetched(scenario: Scenario) -> None:
    # Given a name that only a resolver knows to be ours: the door lets it pass
    with photo_host({"/a": telling_jpeg()}) as host:
        job = scenario.wait_final(by_url(scenario, "some.handle", host.url("/a", "0")))
    assert (job["status"], job["error"]["code"]) == ("failed", "photo_url_blocked")
    assert host.requested == []


def test_a_photo_that_is_not_there_yet_is_fetched_again(scenario: Scenario) -> None:
    to = friend(scenario)
    with photo_host({"/a": Answer(status=503)}) as host:
        job_id = by_url(scenario, to, host.url("/a"))
        assert scenario.wait_status(job_id, "waiting")["wait"]["reason"] == "photo_url_failed"
        host.answers["/a"] = Answer(telling_jpeg())
        job = scenario.wait_final(job_id)
    assert (job["status"], job["attempts"], len(photos_to(scenario, to))) == ("succeeded", 2, 1)


def test_a_photo_that_is_no_longer_kept_ends_its_job_with_a_word_about_it(
    scenario: Scenario,
) -> None:
    job_id = uploaded(scenario, "some.handle", delay_seconds=2)
    with redis.Redis.from_url(scenario.stack.redis_url) as client:
        client.delete(f"hg:jobphoto:{job_id}")
    job = scenario.wait_final(job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "photo_gone")
    assert scenario.api.post(f"/jobs/{job_id}/retry").json()["error"]["code"] == "photo_gone"


def test_a_dry_run_does_all_but_the_write(scenario: Scenario) -> None:
    to = friend(scenario)
    before = len(scenario.stack.fake_instagram.uploads())
    job = scenario.wait_final(uploaded(scenario, to, dry_run=True))
    assert (job["status"], job["result"]) == ("succeeded", {"dry_run": True})
    stranger = scenario.wait_final(uploaded(scenario, f"s{os.urandom(6).hex()}", dry_run=True))
    assert stranger["error"]["code"] == "thread_required"
    assert len(scenario.stack.fake_instagram.uploads()) == before
    assert not is_kept(scenario, job["id"])


@pytest.mark.parametrize(
    "effect",
    [
        {"effect": "drop_before"},
        {"status": 503},
        {"effect": "empty_ok"},
        {"effect": "truncate"},
        {"effect": "drop_after"},
    ],
    ids=["dropped", "server error", "empty reply", "cut reply", "dropped after"],
)
def test_an_upload_that_fails_is_known_not_to_be_sent(
    scenario: Scenario, effect: dict[str, Any]
) -> None:
    to = friend(scenario)
    scenario.stack.fake_instagram.fault("rupload_photo", **effect)
    job = scenario.wait_final(uploaded(scenario, to), 40)
    # It is just tried again, without a look-up
    assert (job["status"], job["attempts"], len(photos_to(scenario, to))) == ("succeeded", 2, 1)
    timeline = scenario.api.get(f"/jobs/{job['id']}/timeline").json()["items"]
    assert [line["why"] for line in timeline if line["why"] in ("intent", "look-up")] == [
        "intent",
        "intent",
    ]


def test_a_refusal_at_the_upload_that_is_about_the_account_holds_it(scenario: Scenario) -> None:
    to = friend(scenario)
    scenario.stack.fake_instagram.fault("rupload_photo", error="challenge_required")
    job_id = uploaded(scenario, to)
    scenario.wait_status(job_id, "held")
    assert scenario.api.get("/accounts/shop").json()["hold"]["reason"] == "challenge_required"
    scenario.api.post("/accounts/shop/resume").raise_for_status()
    assert scenario.wait_final(job_id)["status"] == "succeeded"
    assert len(photos_to(scenario, to)) == 1


@pytest.mark.parametrize(
    "effect",
    [
        {"effect": "drop_after"},
        {"effect": "empty_ok"},
        {"effect": "truncate"},
        {"status_after_effect": 502},
    ],
    ids=["connection dropped", "empty reply", "cut reply", "server error"],
)
def test_a_photo_whose_answer_was_lost_is_found_and_not_repeated(
    scenario: Scenario, effect: dict[str, Any]
) -> None:
    to = friend(scenario)
    scenario.stack.fake_instagram.fault("broadcast_photo", **effect)
    job = scenario.wait_final(uploaded(scenario, to), 40)
    assert job["status"] == "succeeded"
    assert [dm["item_id"] for dm in photos_to(scenario, to)] == [job["result"]["message_id"]]


def test_a_photo_that_never_arrived_is_sent_after_two_looks(scenario: Scenario) -> None:
    to = friend(scenario)
    scenario.stack.fake_instagram.fault("broadcast_photo", "drop_before")
    job = scenario.wait_final(uploaded(scenario, to), 40)
    assert (job["status"], len(photos_to(scenario, to))) == ("succeeded", 1)
    timeline = scenario.api.get(f"/jobs/{job['id']}/timeline").json()["items"]
    assert sum(line["why"] == "look-up" for line in timeline) == 2


@pytest.mark.parametrize(
    ("call", "effect"),
    [
        ("rupload_photo", {"delay_seconds": 30}),
        ("rupload_photo", {"delay_after_effect_seconds": 30}),
        ("broadcast_photo", {"delay_after_effect_seconds": 30}),
    ],
    ids=["before the upload", "after the upload", "after the write"],
)
def test_a_worker_killed_in_this_request_leaves_the_photo_to_another(
    scenario: Scenario, call: str, effect: dict[str, Any]
) -> None:
    # Given a worker that is killed while it waits for an answer
    to = friend(scenario)
    fault = scenario.stack.fake_instagram.fault(call, **effect)
    job_id = uploaded(scenario, to)
    # A call is in the log before its body is there, and only then meets the fault.
    until(
        lambda: [each for each in scenario.stack.fake_instagram.log(call) if each["fault"] == fault]
    )
    if call == "broadcast_photo":
        until(lambda: photos_to(scenario, to), 20, "the photo")
    scenario.stack.processes["worker"].kill()
    # When another starts
    scenario.stack.start("worker")
    # Then the photo arrives once, and its end is told once
    job = scenario.wait_final(job_id, 40)
    assert job["status"] == "succeeded"
    assert [dm["item_id"] for dm in photos_to(scenario, to)] == [job["result"]["message_id"]]
    assert len(scenario.wait_callbacks(job_id)) == 1


def test_a_worker_told_to_stop_in_an_upload_hands_the_job_back(scenario: Scenario) -> None:
    # Given an upload that hangs for longer than a stop may take
    to = friend(scenario)
    scenario.stack.fake_instagram.fault("rupload_photo", delay_seconds=60)
    job_id = uploaded(scenario, to)
    scenario.wait_status(job_id, "sending")
    worker = scenario.stack.processes["worker"]
    # When its worker is told to stop
    worker.signal(signal.SIGTERM)
    assert worker.wait(25) == 0
    # Then it has said that nothing was sent: there is nothing to look for
    assert scenario.job(job_id)["status"] in ("queued", "waiting")
    scenario.stack.start("worker")
    assert scenario.wait_final(job_id, 40)["status"] == "succeeded"
    assert len(photos_to(scenario, to)) == 1
