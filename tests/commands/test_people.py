"""`heliograph people` on a real Redis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from service.cli import main
from tests.support.encryption import SECRET_KEY
from tests.support.ledger import LedgerHarness, open_ledger
from tests.support.person_search import keys_about


@pytest.fixture
def ledger(
    store_url: str, store: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LedgerHarness]:
    """A ledger, and the environment of a process that uses it, without the API's keys."""
    assert store.dbsize() == 0
    config = tmp_path / "heliograph.toml"
    config.touch()
    monkeypatch.setenv("REDIS_URL", store_url)
    monkeypatch.setenv("HELIOGRAPH_CONFIG", str(config))
    monkeypatch.setenv("SECRET_KEY", SECRET_KEY)
    monkeypatch.delenv("API_KEYS", raising=False)
    with open_ledger(store_url) as opened:
        yield opened


def test_an_export_is_one_json_object_of_all_jobs(
    ledger: LedgerHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = [ledger.add_job(account=f"account-{number}") for number in range(45)]

    assert main(["people", "export", "@Some.Handle"]) == 0

    exported = json.loads(capsys.readouterr().out)
    assert [job["id"] for job in exported["jobs"]] == ids[::-1]
    assert {job["text"] for job in exported["jobs"]} == {"Thank you!"}
    assert exported["person"]["names"] == ["some.handle"]


def test_a_person_of_whom_nothing_is_kept_is_exported_as_that(
    ledger: LedgerHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["people", "export", "nobody"]) == 0
    assert json.loads(capsys.readouterr().out)["jobs"] == []


def test_show_prints_a_line_for_each_thing(
    ledger: LedgerHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    job_id = ledger.add_job()

    assert main(["people", "show", "some.handle"]) == 0

    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert list(lines) == ["person", "suppressions", "threads", "caches", "job"]
    assert json.loads(lines["job"])["id"] == job_id


def test_erase_says_what_it_has_erased(
    ledger: LedgerHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.add_job()

    assert main(["people", "erase", "some.handle"]) == 0

    assert capsys.readouterr().out == "erased: 1 jobs, 0 caches, 0 rows, 0 audit entries\n"
    assert keys_about(ledger.store, "some.handle") == []


def test_erase_names_the_jobs_that_it_waits_for(
    ledger: LedgerHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    claim = ledger.claim_and_send(ledger.add_job())

    assert main(["people", "erase", "some.handle"]) == 1

    assert claim.id in capsys.readouterr().err


def test_a_handle_that_names_nobody_is_wrong_usage(
    ledger: LedgerHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["people", "erase", "12345"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("heliograph people: HANDLE is ambiguous: write @ before")
    assert ledger.store.dbsize() == 0


def test_an_unavailable_redis_is_reported_with_its_cause(
    ledger: LedgerHarness, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:the-password@127.0.0.1:1/0")
    assert main(["people", "show", "some.handle"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("heliograph people: Redis cannot be reached: Error 111 ")
    assert "the-password" not in said


def test_a_reader_that_stops_reading_is_no_failure_of_redis(ledger: LedgerHarness) -> None:
    # Given more output than a pipe holds, and a reader of nothing
    for number in range(60):
        ledger.add_job(account=f"account-{number}")
    reader, writer = os.pipe()
    os.close(reader)
    # When the person is shown
    command = [sys.executable, "-m", "service", "people", "show", "some.handle"]
    shown = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    # Then nothing is said of it
    assert (shown.returncode, shown.stderr) == (1, b"")
