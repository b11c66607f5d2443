"""When a job starts, and when it expires."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.web import WebHarness

DM: dict[str, Any] = {"kind": "dm", "account": "shop", "to": "some.handle", "text": "Hello"}
NOW = datetime.now(UTC)


def at(**delta: float) -> str:
    return (NOW + timedelta(**delta)).isoformat()


def test_a_job_with_a_delay_is_scheduled(web: WebHarness) -> None:
    job = web.api.post("/jobs", json={**DM, "delay_seconds": 90.5}).json()
    created, run_at = (datetime.fromisoformat(job[name]) for name in ("created_at", "run_at"))
    assert job["status"] == "scheduled"
    assert (run_at - created) == timedelta(seconds=90.5)


def test_a_job_with_a_time_is_scheduled_for_it(web: WebHarness) -> None:
    made = web.api.post("/jobs", json={**DM, "run_at": at(days=1)})
    assert (made.status_code, made.json()["status"]) == (202, "scheduled")
    run_at = datetime.fromisoformat(made.json()["run_at"])
    assert abs(run_at - datetime.fromisoformat(at(days=1))) < timedelta(milliseconds=1)


@pytest.mark.parametrize("zone", ["Z", "z", "+00:00", "-11:30"])
def test_a_time_may_be_written_in_any_zone(web: WebHarness, zone: str) -> None:
    written = (NOW + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%S") + zone
    made = web.api.post("/jobs", json={**DM, "run_at": written})
    assert made.status_code == 202
    shown = datetime.fromisoformat(made.json()["run_at"])
    assert shown == datetime.fromisoformat(written.upper())
    assert made.json()["run_at"].endswith("Z")


@pytest.mark.parametrize(
    "past",
    [at(days=-1), "0001-01-01T00:00:00+23:00", "1970-01-01T00:00:00Z"],
    ids=["yesterday", "before every calendar", "the epoch"],
)
def test_a_time_in_the_past_means_now(web: WebHarness, past: str) -> None:
    made = web.api.post("/jobs", json={**DM, "run_at": past})
    assert (made.status_code, made.json()["status"]) == (202, "queued")
    run_at = datetime.fromisoformat(made.json()["run_at"])
    assert abs(run_at - datetime.now(UTC)) < timedelta(seconds=5)
    assert web.api.get("/jobs").status_code == 200


def test_an_expiry_is_stored(web: WebHarness) -> None:
    made = web.api.post("/jobs", json={**DM, "delay_seconds": 60, "expires_at": at(days=3649)})
    assert made.status_code == 202
    assert made.json()["expires_at"][:10] == at(days=3649)[:10]


INVALID: dict[str, tuple[dict[str, Any], str]] = {
    "no zone": ({"run_at": "2099-01-01T00:00:00"}, "run_at"),
    "a date": ({"run_at": "2099-01-01"}, "run_at"),
    "no such day": ({"run_at": "2099-02-30T00:00:00Z"}, "run_at"),
    "no such hour": ({"run_at": "2099-02-20T25:00:00Z"}, "run_at"),
    "no such zone": ({"run_at": "2099-02-20T05:00:00+99:00"}, "run_at"),
    "unix seconds": ({"run_at": 1_900_000_000}, "run_at"),
    "unix seconds in text": ({"run_at": "1900000000"}, "run_at"),
    "true": ({"run_at": True}, "run_at"),
    "words": ({"run_at": "tomorrow"}, "run_at"),
    "other digits": ({"run_at": "\uff12\uff10\uff19\uff19-01-01T00:00:00Z"}, "run_at"),
    "late": ({"run_at": at(days=366)}, "run_at"),
    "the last year of all": ({"run_at": "9999-12-31T23:59:59-23:00"}, "run_at"),
    "both": ({"run_at": at(days=1), "delay_seconds": 5}, "run_at"),
    "negative delay": ({"delay_seconds": -1}, "delay_seconds"),
    "long delay": ({"delay_seconds": 366 * 86400}, "delay_seconds"),
    "delay NaN": ({"delay_seconds": math.nan}, "delay_seconds"),
    "delay infinite": ({"delay_seconds": math.inf}, "delay_seconds"),
    "delay text": ({"delay_seconds": "5"}, "delay_seconds"),
    "delay true": ({"delay_seconds": True}, "delay_seconds"),
    "an end in the past": ({"expires_at": at(seconds=-1)}, "expires_at"),
    "an end before the start": ({"delay_seconds": 3600, "expires_at": at(hours=1)}, "expires_at"),
    "an end before run_at": ({"run_at": at(days=2), "expires_at": at(days=1)}, "expires_at"),
    "an end beyond all calendars": ({"expires_at": "9999-12-31T23:59:59-23:00"}, "expires_at"),
    "an end far away": ({"expires_at": at(days=3652)}, "expires_at"),
    "an end as a number": ({"expires_at": 4e9}, "expires_at"),
}


@pytest.mark.parametrize(("changes", "field"), INVALID.values(), ids=INVALID.keys())
def test_an_invalid_time_is_rejected(web: WebHarness, changes: dict[str, Any], field: str) -> None:
    body = {**DM, **changes}
    response = web.api.post(
        "/jobs", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 422
    assert [item["field"] for item in response.json()["error"]["fields"]] == [field]
    assert web.contents() == {}
