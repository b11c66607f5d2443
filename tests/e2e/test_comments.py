"""Comments through real processes: they carry no token, and clocks differ."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.local.wait import until
from tests.support.scenario import Scenario

POST = "3700000000000000001"


@pytest.fixture
def offset(scenario: Scenario, request: pytest.FixtureRequest) -> Iterator[int]:
    """How many seconds Instagram's clock is ahead, for one test."""
    scenario.stack.fake_instagram.shift_clock(request.param)
    yield request.param
    scenario.stack.fake_instagram.shift_clock(0)


def order(scenario: Scenario, **wanted: Any) -> str:
    """Create a comment; return the job's id."""
    return scenario.create_dm(kind="comment", to=None, post=POST, **wanted)


@pytest.mark.parametrize("offset", [-300, -5, 5, 300], indirect=True)
@pytest.mark.parametrize("effect", [{"effect": "drop_after"}, {"effect": "empty_ok"}], ids=str)
def test_a_comment_whose_response_was_lost_is_found_despite_clock_skew(
    scenario: Scenario, offset: int, effect: dict[str, object]
) -> None:
    # Given a comment that is stored while its response is lost
    scenario.stack.fake_instagram.fault("comment", **effect)  # type: ignore[arg-type]
    # When the job has ended
    job = scenario.wait_final(order(scenario), 40)
    # Then the comment was found, not written again
    assert job["status"] == "succeeded", offset
    assert [each["pk"] for each in scenario.comments(scenario.name)] == [
        job["result"]["comment_id"]
    ]
    assert job["attempts"] == 1


@pytest.mark.parametrize("offset", [-300, 300], indirect=True)
def test_a_dm_whose_response_was_lost_is_found_despite_clock_skew(
    scenario: Scenario, offset: int
) -> None:
    scenario.stack.fake_instagram.fault("broadcast_*", "drop_after")
    job = scenario.wait_final(scenario.create_dm(), 40)
    assert job["status"] == "succeeded", offset
    assert [dm["item_id"] for dm in scenario.dms(scenario.name)] == [job["result"]["message_id"]]


def test_another_jobs_comment_does_not_confirm_a_write(scenario: Scenario) -> None:
    # Given one comment, and another job with the same text whose write never arrives
    first = scenario.wait_final(order(scenario))
    scenario.stack.fake_instagram.fault("comment", "drop_before")
    second = scenario.wait_final(order(scenario), 40)
    # Then its comment was written, too
    assert first["status"] == second["status"] == "succeeded"
    reported = [job["result"]["comment_id"] for job in (first, second)]
    assert [each["pk"] for each in scenario.comments(scenario.name)] == reported
    assert second["attempts"] == 2


def test_two_lost_responses_with_one_text_are_told_apart(scenario: Scenario) -> None:
    # Given two jobs with the same text: both comments are stored, both responses lost
    scenario.stack.fake_instagram.fault("comment", "drop_after", times=2)
    jobs = [scenario.wait_final(job_id, 40) for job_id in [order(scenario), order(scenario)]]
    # Then each is credited with its own comment, and nothing is written again
    assert {job["status"] for job in jobs} == {"succeeded"}
    stored = [each["pk"] for each in scenario.comments(scenario.name)]
    assert sorted(job["result"]["comment_id"] for job in jobs) == stored
    assert len(stored) == 2


def list_one_comment(scenario: Scenario, text: str) -> str:
    """Let Instagram list one comment of the account, stored now; return its pk."""
    scenario.wait_final(order(scenario))
    (earlier,) = scenario.comments(scenario.name)
    pk, seconds = earlier["pk"] + "9", int(time.time())
    row = {"pk": pk, "user_id": earlier["user_pk"], "text": text, "created_at_utc": seconds}
    page = {"comments": [row], "status": "ok"}
    scenario.stack.fake_instagram.fault("comments", status=200, body=page, times=None)
    return pk


def test_a_lost_comment_is_found_although_it_is_stored_in_another_form(scenario: Scenario) -> None:
    # Given a comment whose reply is lost, and that Instagram stores in its own way
    name = scenario.name
    pk = list_one_comment(scenario, f"Lovely - see you! example.com/shop @jenny {name}")
    scenario.stack.fake_instagram.fault("comment", "drop_after")
    text = f"Lovely \u2013 see\u00a0 you!\n\n\nhttps://www.Example.com/shop/ @Jenny {name}"
    job = scenario.wait_final(order(scenario, text=text), 40)
    # Then it is found, not written again
    assert (job["status"], job["attempts"]) == ("succeeded", 1)
    assert job["result"]["comment_id"] == pk
    assert len(scenario.comments(name)) == 2  # with the earlier one


def test_a_similar_comment_is_doubt_and_nothing_is_written_again(scenario: Scenario) -> None:
    # Given a comment whose reply is lost, and that Instagram shows without its link
    text = f"Thank you so much https://example.com/{scenario.name}"
    list_one_comment(scenario, "Thank you so much")
    scenario.stack.fake_instagram.fault("comment", "drop_after")
    job_id = order(scenario, text=text)
    # When two verifications have been in doubt
    until(lambda: whys(scenario, job_id).count("similar_found") >= 2, 30, "doubt")
    # Then it has not been written again; once it is shown as it was sent, it is found
    assert len(scenario.comments(text)) == 1
    scenario.stack.fake_instagram.clear_faults()
    job = scenario.wait_final(job_id, 40)
    assert (job["status"], len(scenario.comments(text))) == ("succeeded", 1)


@pytest.fixture
def shortened(scenario: Scenario) -> Iterator[None]:
    """Let Instagram store texts as its app shows them."""
    scenario.stack.fake_instagram.store_text("shortened")
    yield
    scenario.stack.fake_instagram.store_text("folded")


@pytest.mark.usefixtures("shortened")
@pytest.mark.parametrize("kind", ["comment", "dm"])
def test_a_lost_text_is_found_with_its_links_shortened(scenario: Scenario, kind: str) -> None:
    # Given a text with a long link, whose reply is lost
    call = "comment" if kind == "comment" else "broadcast_*"
    scenario.stack.fake_instagram.fault(call, "drop_after")
    text = f"Thank you @Jenny,\n\n\nhttps://www.example.com/{scenario.name}/receipt"
    job_id = order(scenario, text=text) if kind == "comment" else scenario.create_dm(text=text)
    # Then it is found, and stored once
    assert scenario.wait_final(job_id, 40)["status"] == "succeeded"
    stored = scenario.stack.fake_instagram.comments() if kind == "comment" else scenario.dms()
    shown = [each["text"] for each in stored if each["text"].startswith("Thank you @jenny")]
    assert shown == [f"Thank you @jenny, example.com/{scenario.name[:18]}\u2026"]


def whys(scenario: Scenario, job_id: str) -> list[str | None]:
    """The reasons in a job's timeline."""
    shown = scenario.api.get(f"/jobs/{job_id}/timeline").raise_for_status().json()
    return [entry["why"] for entry in shown["items"]]


def test_lost_comments_with_texts_that_differ_little_do_not_doubt_each_other(
    scenario: Scenario,
) -> None:
    # Given two jobs whose texts differ in a name: both comments are stored, both replies lost
    texts = [f"Thank you so much, {name}! {scenario.name}" for name in ("Anna", "Anne")]
    scenario.stack.fake_instagram.fault("comment", "drop_after", times=2)
    jobs = [scenario.wait_final(job_id, 40) for job_id in [order(scenario, text=t) for t in texts]]
    # Then each is credited with its own
    stored = {each["pk"]: each["text"] for each in scenario.comments(scenario.name)}
    assert [stored[job["result"]["comment_id"]] for job in jobs] == texts
    assert len(stored) == 2
    assert not any("similar_found" in whys(scenario, job["id"]) for job in jobs)
