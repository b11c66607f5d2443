"""A client that openapi-python-client generates from the document: it compiles, and it works."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.wait import until
from service.jobs.model import Status
from tests.support.ledger import LedgerHarness
from tests.support.openapi import PATH
from tests.support.web import API_KEY, WebHarness

#: What somebody would write with it; checked by mypy, too.
WALK = """
import sys

from heliograph_client import AuthenticatedClient
from heliograph_client.api.jobs import (
    cancel_job, create_job, get_job, get_job_timeline, list_jobs, retry_job,
)
from heliograph_client.models import (
    DmResult, ErrorBody, Job, JobDetails, JobPage, JobRequest, JobRequestKind, Status, Timeline,
)

base, key, failed_id = sys.argv[1:]
client = AuthenticatedClient(base_url=base, token=key)


def dm(text: str, delay_seconds: float | None = None) -> Job:
    body = JobRequest(
        kind=JobRequestKind.DM, account="shop", to="some.handle", text=text,
        delay_seconds=delay_seconds,
    )
    made = create_job.sync(client=client, body=body, idempotency_key=text.replace(" ", "-"))
    assert isinstance(made, Job), made
    return made


made = dm("Thank you")
assert dm("Thank you").id == made.id
ended = get_job.sync(made.id, client=client, wait=20)
assert isinstance(ended, JobDetails) and ended.status is Status.SUCCEEDED, ended
assert isinstance(ended.result, DmResult) and ended.result.message_id == "m1", ended
assert ended.created_at is not None and ended.finished_at is not None
assert ended.created_at < ended.finished_at

timeline = get_job_timeline.sync(made.id, client=client)
assert isinstance(timeline, Timeline), timeline
assert [entry.status for entry in timeline.items][-1] is Status.SUCCEEDED

later = dm("Thank you later", delay_seconds=3600)
canceled = cancel_job.sync(later.id, client=client)
assert isinstance(canceled, Job) and canceled.status is Status.CANCELED, canceled
again = cancel_job.sync(made.id, client=client)
assert isinstance(again, ErrorBody) and again.error.code == "not_cancelable", again

page = list_jobs.sync(client=client, status=[Status.FAILED, Status.CANCELED])
assert isinstance(page, JobPage), page
assert [job.id for job in page.items] == [later.id, failed_id]

retried = retry_job.sync(failed_id, client=client)
assert isinstance(retried, Job) and retried.run == 2, retried
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that has the generated package, and the program that uses it."""
    made = tmp_path_factory.mktemp("client")
    command = ["generate", "--path", str(PATH), "--output-path", str(made), "--overwrite"]
    generated = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", *command],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "WARNING" not in generated.stdout, generated.stdout
    (made / "walk.py").write_text(WALK)
    return made


def test_it_and_a_program_that_uses_it_are_fully_typed(client: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "", "."]
    checked = subprocess.run(command, cwd=client, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_it_creates_waits_follows_cancels_and_retries(
    web: WebHarness, ledger: LedgerHarness, client: Path
) -> None:
    # Given
    failed = web.api.post(
        "/jobs", json={"kind": "dm", "account": "shop", "to": "other.handle", "text": "Hello"}
    ).json()["id"]
    ledger.finish(ledger.claim_and_send(failed), Status.FAILED)

    # When
    command = [sys.executable, "walk.py", str(web.http.base_url), API_KEY, failed]
    with subprocess.Popen(command, cwd=client, stderr=subprocess.PIPE, text=True) as walk:
        created = until(lambda: web.api.get("/jobs?status=queued").json()["items"])
        ledger.finish(ledger.claim_and_send(created[0]["id"]))
        _, errors = walk.communicate(timeout=60)

    # Then
    assert (walk.returncode, errors) == (0, "")
