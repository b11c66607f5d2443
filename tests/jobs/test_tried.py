"""Attempts and verification lookups, as a timeline tells them."""

from __future__ import annotations

from typing import Any

import pytest

from service.jobs.lua.hash_encoding import BLANK
from service.jobs.records import JobRecord
from service.jobs.tried import what_was_tried
from service.jobs.verification_report import VerificationReport

FIELDS = {
    **BLANK,
    "seq": "1",
    "kind": "dm",
    "account": "shop",
    "status": "uncertain",
    "prio": "5",
    "created": "1",
    "run_at": "1",
    "run": "1",
    "source": "{}",
    "thread": "",
}
BEGIN, INTENT = ("running", None), ("sending", "intent")
LOOKUP = ("sending", "verification lookup")


def tried(*changes: tuple[str, str | None], **fields: str) -> dict[str, Any]:
    """What was tried by a timeline: of each entry its status and reason; its time is its number."""
    timeline = [
        {"at": str(number), "status": status, "by": "w", "why": why}
        for number, (status, why) in enumerate(changes, 1)
    ]
    return what_was_tried(JobRecord.of("job_x", FIELDS | fields), timeline)


def outcomes(steps: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(step["at"], step["ended_at"], step["outcome"], step["reason"]) for step in steps]


def test_an_attempt_that_succeeds() -> None:
    found = tried(("queued", None), BEGIN, INTENT, ("succeeded", None), context="680")
    assert outcomes(found["attempts"]) == [("2", "4", "succeeded", None)]
    assert found["attempts"][0]["intent_at"] == "3"
    assert (found["verifications"], found["write_token"]) == ([], "680")


def test_attempts_that_did_not_come_to_their_write() -> None:
    found = tried(BEGIN, ("waiting", "connection_failed"), ("queued", "due"), BEGIN, ("held", "c"))
    assert outcomes(found["attempts"]) == [
        ("1", "2", "waiting", "connection_failed"),
        ("4", "5", "held", "c"),
    ]
    assert [each["intent_at"] for each in found["attempts"]] == [None, None]


def test_an_attempt_under_way_has_no_end() -> None:
    assert outcomes(tried(BEGIN, INTENT)["attempts"]) == [("1", None, None, None)]


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (("succeeded", "found by verification lookup"), "found"),
        (("sending", "not found"), "not_found"),
        (("queued", "not found: send again"), "not_found"),
        (("uncertain", "not found"), "not_found"),
        (("sending", "similar_found"), "failed"),
        (("uncertain", "search_incomplete"), "failed"),
        (("uncertain", "outcome unknown"), "failed"),
        (("sending", "lease expired"), "failed"),
    ],
)
def test_a_lookup_found_the_write_or_not_or_failed(end: tuple[str, str], outcome: str) -> None:
    found = tried(BEGIN, INTENT, ("sending", "timed_out"), LOOKUP, end)
    assert outcomes(found["attempts"]) == [("1", "3", "unconfirmed", "timed_out")]
    assert outcomes(found["verifications"]) == [("4", "5", outcome, end[1])]


@pytest.mark.parametrize("why", ["verification lookup", "history lost: looked for first"])
def test_a_job_that_is_looked_for_before_anything_else_has_made_no_attempt(why: str) -> None:
    found = tried(BEGIN, ("sending", why), ("queued", "not found: send"), BEGIN, INTENT)
    assert outcomes(found["verifications"]) == [("1", "3", "not_found", "not found: send")]
    assert outcomes(found["attempts"]) == [("4", None, None, None)]


def test_a_settlement_and_a_timeline_without_its_beginning_add_nothing() -> None:
    found = tried(("succeeded", "settled as sent"))
    assert (found["attempts"], found["verifications"]) == ([], [])
    assert outcomes(tried(INTENT, ("sending", "timed_out"), LOOKUP)["verifications"]) == [
        ("3", None, None, None)
    ]


@pytest.mark.parametrize("stored", ["", "nonsense", "1 2 3", "x 1 1 1 1 1", "5 1 20 0 1 2"])
def test_a_report_that_is_not_there_or_not_understood_is_not_shown(stored: str) -> None:
    assert VerificationReport.decode(stored, "9") is None


def test_a_report_is_stored_in_values_that_fit_a_compact_hash() -> None:
    report = VerificationReport("9" * 39, 15, 300, 10, 10, complete=True)
    numbers, _, thread_id = report.encode().partition("/")
    assert VerificationReport.decode(f"1764470000000 {numbers}", thread_id) == (
        1764470000000,
        report,
    )
    assert max(len(f"1764470000000 {numbers}"), len(thread_id)) <= 64


def test_a_thread_id_that_is_no_number_is_not_stored() -> None:
    assert VerificationReport("<b>").encode() == "0 0 0 0 0/"
