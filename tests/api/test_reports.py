"""POST /reports: a job of no account, whose file a worker makes in a process of its own."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from actors.jobs.reports import draw_report
from deploy.local.wait import until
from service.jobs.claims import Claim
from service.jobs.model import REPORTS_QUEUE, Status
from service.reports.pdf_file import LIMITS, PdfDrawer
from service.reports.store import ReportStore
from tests.support.invariants import audit
from tests.support.job_states import job_in
from tests.support.ledger import DAY, SECOND, TIMES, LedgerHarness
from tests.support.releases import release_without
from tests.support.runtime import make_runtime
from tests.support.web import API_KEY, CONFIG, OTHER_KEY, WebHarness, connect, run_web


def ask(web: WebHarness, **body: Any) -> dict[str, Any]:
    """Ask for a report; return its job."""
    reply = web.api.post("/reports", json={"format": "csv"} | body)
    assert reply.status_code == 202, reply.text
    shown: dict[str, Any] = reply.json()
    assert reply.headers["location"] == f"/jobs/{shown['id']}"
    return shown


def draw(ledger: LedgerHarness, job_id: str, **parts: Any) -> None:
    """Do what a worker does with a report's wake-up."""
    ledger.run(draw_report(make_runtime(ledger, **parts), job_id))


def finished(web: WebHarness, ledger: LedgerHarness, **body: Any) -> httpx.Response:
    """Ask for a report, have it made, and fetch its file."""
    job_id = ask(web, **body)["id"]
    draw(ledger, job_id)
    reply = web.api.get(f"/jobs/{job_id}/result")
    assert reply.status_code == 200, reply.text
    return reply


def save(ledger: LedgerHarness, claim: Claim, file: bytes = b"day,sent\r\n") -> str:
    """Store a file as the holder of a claim."""
    store = ReportStore(ledger.client, TIMES)
    return ledger.run(store.save(claim, file, "csv"))


def program(directory: Path, code: str) -> PdfDrawer:
    """A drawer whose processes run another program."""
    path = directory / "program.py"
    path.write_text(code)
    return PdfDrawer({**LIMITS, "seconds": 2}, str(path))


def test_a_report_is_a_job_of_no_account(web: WebHarness, ledger: LedgerHarness) -> None:
    shown = ask(web)

    assert (shown["kind"], shown["account"], shown["status"]) == ("report", None, "queued")
    assert shown["report"]["by"] == "rule"
    assert shown["report"]["format"] == "csv"
    assert ledger.take_messages("reports") == [shown["id"]]
    assert ledger.take_messages() == []
    assert web.api.get("/jobs", params={"kind": "report"}).json()["items"] == [shown]


def test_a_csv_report_has_the_numbers_of_the_period(web: WebHarness, ledger: LedgerHarness) -> None:
    # Given ends of two rules
    job_in(ledger, Status.SUCCEEDED, account="a")
    job_in(ledger, Status.FAILED, account="b")
    job_in(ledger, Status.CANCELED, account="c", rule="other")

    # When a report is made of them
    reply = finished(web, ledger, by="rule")

    # Then it has a line for each, under names that stay the same
    assert reply.headers["content-type"] == "text/csv; charset=utf-8"
    today = datetime.now(UTC).date()
    assert f"-{today}.csv" in reply.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(reply.text)))
    assert [
        (row["rule"], row["sent"], row["failed"], row["failed_codes"], row["canceled"])
        for row in rows
    ] == [("other", "0", "0", "", "1"), ("thank-you", "1", "1", "refused=1", "0")]


def test_a_pdf_report_is_downloaded_as_a_file(web: WebHarness, ledger: LedgerHarness) -> None:
    job_in(ledger, Status.SUCCEEDED)

    reply = finished(web, ledger, format="pdf", by="day")

    assert reply.content.startswith(b"%PDF-")
    assert reply.headers["content-type"] == "application/pdf"
    assert reply.headers["content-disposition"].startswith('attachment; filename="heliograph-day-')
    [job] = web.api.get("/jobs", params={"kind": "report"}).json()["items"]
    assert job["result"] == {
        "format": "pdf",
        "bytes": len(reply.content),
        "sha256": hashlib.sha256(reply.content).hexdigest(),
        "result_url": f"/jobs/{job['id']}/result",
    }


def test_a_callback_tells_of_the_file(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = ask(web, callback="crm", metadata={"for": "monday"})["id"]
    draw(ledger, job_id)

    [delivery] = ledger.deliveries_of(job_id)
    assert delivery["type"] == "job.succeeded"
    data = delivery["payload"]["data"]
    assert data["result"]["result_url"] == f"/jobs/{job_id}/result"
    assert data["metadata"] == {"for": "monday"}


def test_a_report_has_no_file_before_its_end_and_none_after_its_retention(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    job_id = ask(web)["id"]
    early = web.api.get(f"/jobs/{job_id}/result")
    assert (early.status_code, early.json()["error"]["code"]) == (409, "no_result")

    draw(ledger, job_id)
    ledger.pass_time(TIMES.keep_bodies + SECOND)
    late = web.api.get(f"/jobs/{job_id}/result")
    assert (late.status_code, late.json()["error"]["code"]) == (410, "result_gone")


def test_a_report_is_pruned_with_its_file(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = ask(web)["id"]
    draw(ledger, job_id)
    ledger.store.persist(f"hg:report:{job_id}")

    ledger.pass_time(TIMES.keep + DAY)
    assert ledger.run(ledger.core.prune()) >= 1
    assert ledger.store.keys(f"hg:*{job_id}*") == []
    assert audit(ledger) == []


@pytest.mark.parametrize(
    ("body", "field", "remedy"),
    [
        ({}, "format", "missing"),
        ({"format": "xlsx"}, "format", "'pdf' or 'csv'"),
        ({"format": "csv", "by": "handle"}, "by", "'rule'"),
        ({"format": "csv", "from": "last week"}, "from", "RFC 3339"),
        ({"format": "csv", "from": 20261101}, "from", "string"),
        ({"format": "csv", "to": "2001-01-01"}, "from", "400 days"),
        ({"format": "csv", "callback": "nobody"}, "callback", "[callbacks.*]"),
        ({"format": "csv", "account": "shop"}, "account", "not"),
    ],
)
def test_a_request_that_cannot_be_is_refused_and_changes_nothing(
    web: WebHarness, body: dict[str, Any], field: str, remedy: str
) -> None:
    before = web.contents()

    reply = web.api.post("/reports", json=body)

    assert reply.status_code == 422
    [problem] = reply.json()["error"]["fields"]
    assert problem["field"] == field
    assert remedy in problem["message"]
    assert web.contents() == before


def test_the_same_request_makes_one_report(web: WebHarness) -> None:
    headers = {"Idempotency-Key": "monday"}
    first, second = (
        web.api.post("/reports", json={"format": "csv"}, headers=headers).json()["id"]
        for _ in range(2)
    )
    assert first == second


def test_one_report_is_drawn_at_a_time(web: WebHarness, ledger: LedgerHarness) -> None:
    first, second = (ask(web)["id"] for _ in range(2))
    claim = ledger.claim(first)
    assert ledger.try_claim(second, "other") is None
    waiting = web.api.get(f"/jobs/{second}").json()
    assert (waiting["status"], waiting["wait"]["reason"]) == ("waiting", "turn")
    ledger.take_messages("reports")

    assert save(ledger, claim) == "ok"
    assert ledger.take_messages("reports") == [second]
    draw(ledger, second)
    assert ledger.status(second) is Status.SUCCEEDED
    assert audit(ledger) == []


def test_a_pause_of_everything_does_not_hold_a_report(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    assert web.api.post("/pause").status_code == 200
    job_id = ask(web)["id"]
    draw(ledger, job_id)
    assert ledger.status(job_id) is Status.SUCCEEDED


def test_a_report_is_drawn_again_when_its_worker_has_died(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    job_id = ask(web)["id"]
    dead = ledger.claim(job_id)
    ledger.take_messages("reports")

    ledger.pass_time(TIMES.lease + SECOND)
    ledger.heartbeat()
    assert ledger.take_messages("reports") == [job_id]
    draw(ledger, job_id)

    assert ledger.status(job_id) is Status.SUCCEEDED
    assert save(ledger, dead) == "lost"
    assert audit(ledger) == []


def test_a_worker_of_an_older_release_leaves_reports_to_newer_ones(
    web: WebHarness, ledger: LedgerHarness, store_url: str
) -> None:
    # Given a report whose worker has died, and one that waits behind it
    died, waits = (ask(web)["id"] for _ in range(2))
    ledger.claim(died)
    ledger.take_messages("reports")

    # When only a worker that knows no reports is there for a while
    with release_without("report", store_url) as older:
        for _ in range(3):
            older.pass_time(2 * TIMES.lease)
            older.heartbeat()
            assert older.rescue() == 0
    assert ledger.take_messages("reports") == []

    # Then both are made as soon as there is a newer one
    for _ in range(2):
        ledger.pass_time(2 * TIMES.lease)
        ledger.heartbeat()
        for job_id in ledger.take_messages("reports"):
            draw(ledger, job_id)
    assert {ledger.status(job_id) for job_id in (died, waits)} == {Status.SUCCEEDED}
    assert audit(ledger) == []


def test_a_lost_wake_up_is_repeated(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = ask(web)["id"]
    ledger.take_messages("reports")

    ledger.pass_time(TIMES.lease + SECOND)
    ledger.heartbeat()
    assert ledger.take_messages("reports") == [job_id]


def test_a_report_can_be_canceled_while_it_waits(web: WebHarness, ledger: LedgerHarness) -> None:
    job_id = ask(web)["id"]
    assert web.api.post(f"/jobs/{job_id}/cancel").json()["status"] == "canceled"
    draw(ledger, job_id)
    assert not ledger.store.exists(f"hg:report:{job_id}")
    assert audit(ledger) == []


def test_a_report_that_is_canceled_while_it_is_drawn_stores_nothing(
    web: WebHarness, ledger: LedgerHarness
) -> None:
    job_id = ask(web)["id"]
    claim = ledger.claim(job_id)
    assert web.api.post(f"/jobs/{job_id}/cancel").json()["cancel_requested"] is True

    assert save(ledger, claim) == "canceled"
    assert web.api.get(f"/jobs/{job_id}").json()["status"] == "canceled"
    assert not ledger.store.exists(f"hg:report:{job_id}")


ENDINGS = {
    "is killed": "import os; os.kill(os.getpid(), 9)",
    "runs out of memory": "x = bytes(2 ** 31)",
    "takes too long": "import time; time.sleep(60)",
    "writes no PDF": "print('hello')",
}


@pytest.mark.parametrize("code", ENDINGS.values(), ids=ENDINGS.keys())
def test_a_report_whose_process_dies_is_drawn_again_later(
    web: WebHarness, ledger: LedgerHarness, tmp_path: Path, code: str
) -> None:
    # Given a report whose process fails
    job_id = ask(web, format="pdf")["id"]
    draw(ledger, job_id, pdf_drawer=program(tmp_path, code))

    # Then it waits, and says why
    waiting = web.api.get(f"/jobs/{job_id}").json()
    assert (waiting["status"], waiting["wait"]["reason"]) == ("waiting", "report_not_drawn")

    # And is drawn later
    ledger.pass_time(10 * SECOND)
    ledger.heartbeat()
    draw(ledger, job_id)
    assert ledger.status(job_id) is Status.SUCCEEDED
    assert audit(ledger) == []


def test_a_report_that_is_never_drawn_fails_clearly_and_can_be_retried(
    web: WebHarness, ledger: LedgerHarness, tmp_path: Path
) -> None:
    job_id = ask(web, format="pdf")["id"]
    dying = program(tmp_path, ENDINGS["is killed"])
    for _ in range(3):
        draw(ledger, job_id, pdf_drawer=dying)
        ledger.pass_time(60 * SECOND)
        ledger.heartbeat()

    failed = web.api.get(f"/jobs/{job_id}").json()
    assert (failed["status"], failed["error"]["code"]) == ("failed", "report_not_drawn")
    assert failed["error"]["retryable"] is True
    assert web.api.get(f"/jobs/{job_id}/result").status_code == 409

    assert web.api.post(f"/jobs/{job_id}/retry").status_code == 202
    draw(ledger, job_id)
    assert ledger.status(job_id) is Status.SUCCEEDED
    assert web.api.get(f"/jobs/{job_id}/result").status_code == 200


def test_a_worker_that_stops_hands_its_report_back(
    web: WebHarness, ledger: LedgerHarness, tmp_path: Path
) -> None:
    job_id = ask(web, format="pdf")["id"]
    begun = tmp_path / "begun"
    slow = program(tmp_path, f"import time; open({str(begun)!r}, 'w'); time.sleep(60)")
    runtime = make_runtime(ledger, pdf_drawer=slow)

    async def stop_while_it_draws() -> None:
        task = asyncio.create_task(draw_report(runtime, job_id))
        await asyncio.to_thread(until, begun.exists)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    ledger.run(stop_while_it_draws())
    assert ledger.status(job_id) is Status.QUEUED
    draw(ledger, job_id)
    assert ledger.record(job_id).attempts == 1


def test_reports_are_in_no_numbers(web: WebHarness, ledger: LedgerHarness) -> None:
    finished(web, ledger)
    shown = web.api.get("/stats", params={"by": "account"}).json()
    assert shown["items"] == []


@pytest.fixture
def scoped(web: WebHarness, store_url: str, tmp_path: Path) -> Iterator[WebHarness]:
    """A web process whose keys may not do everything."""
    keys = f"first:{API_KEY}:jobs@shop,other:{OTHER_KEY}:read"
    with (
        run_web(store_url, tmp_path, CONFIG, API_KEYS=keys) as port,
        connect(port, web.store) as it,
    ):
        yield it


def test_a_key_that_is_bound_to_accounts_counts_those(
    scoped: WebHarness, ledger: LedgerHarness
) -> None:
    job_in(ledger, Status.SUCCEEDED, account="shop")
    job_in(ledger, Status.SUCCEEDED, account="another")

    shown = scoped.api.get("/stats", params={"by": "account"}).json()
    assert [(each["account"], each["sent"]) for each in shown["items"]] == [("shop", 1)]
    assert (shown["total"]["sent"], shown["callbacks"]) == (1, None)


def test_a_report_needs_a_key_that_sees_all_accounts_and_may_create_jobs(
    scoped: WebHarness,
) -> None:
    bound = scoped.api.post("/reports", json={"format": "csv"})
    assert (bound.status_code, bound.json()["error"]["code"]) == (403, "forbidden")
    headers = {"Authorization": f"Bearer {OTHER_KEY}"}
    reading = scoped.http.post("/reports", json={"format": "csv"}, headers=headers)
    assert reading.status_code == 403
    assert scoped.http.get("/stats", headers=headers).status_code == 200


def test_no_account_can_be_named_like_the_queue_of_reports() -> None:
    assert not REPORTS_QUEUE[0].isalnum()
