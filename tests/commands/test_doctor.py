"""`heliograph doctor` on a real Redis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest
import redis

from deploy.local.valkey import Valkey
from deploy.local.wait import free_port
from service.cli import main
from service.jobs.model import Status
from tests.support.backup import Backup
from tests.support.corruption import drop_alarms
from tests.support.encryption import SECRET_KEY
from tests.support.job_states import job_in
from tests.support.ledger import SECOND, TIMES, LedgerHarness, open_ledger


@pytest.fixture
def ledger(
    store_url: str, store: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LedgerHarness]:
    """A ledger, and the environment of a process that uses it."""
    config = tmp_path / "heliograph.toml"
    config.touch()
    monkeypatch.setenv("REDIS_URL", store_url)
    monkeypatch.setenv("HELIOGRAPH_CONFIG", str(config))
    monkeypatch.setenv("SECRET_KEY", SECRET_KEY)
    monkeypatch.setenv("API_KEYS", f"ann:{token_hex(16)}")
    with open_ledger(store_url, TIMES) as opened:
        yield opened


@pytest.fixture
def durable_ledger(
    ledger: LedgerHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LedgerHarness]:
    """A ledger in a Redis with the recommended settings, and its environment."""
    with Valkey(tmp_path / "durable_ledger") as store:
        monkeypatch.setenv("REDIS_URL", store.url)
        with open_ledger(store.url, TIMES) as opened:
            yield opened


def test_recommended_settings_are_ok(
    ledger: LedgerHarness,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Valkey(tmp_path / "valkey") as durable_ledger:
        monkeypatch.setenv("REDIS_URL", durable_ledger.url)
        assert main(["doctor"]) == 0
    assert capsys.readouterr().out.startswith("ok:")


def test_a_loss_of_history_is_told_and_is_no_problem_to_repair(
    durable_ledger: LedgerHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    durable_ledger.heartbeat()
    backup = Backup(durable_ledger.store)
    durable_ledger.heartbeat()
    backup.restore()
    durable_ledger.heartbeat()

    assert main(["doctor"]) == 0
    told, verdict = capsys.readouterr().out.splitlines()
    assert told.startswith("history: at ")
    assert "each write is looked for before it is made" in told
    assert verdict.startswith("ok:")


def test_a_loss_of_history_is_forgotten_when_nobody_repeats_an_event_of_then(
    durable_ledger: LedgerHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    durable_ledger.heartbeat()
    durable_ledger.store.flushdb()
    durable_ledger.heartbeat()
    durable_ledger.pass_time(TIMES.keep + SECOND)
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.startswith("ok:")


def test_unsafe_redis_settings_are_named(
    ledger: LedgerHarness,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Valkey(tmp_path / "valkey") as durable_ledger:
        monkeypatch.setenv("REDIS_URL", durable_ledger.url)
        with redis.Redis.from_url(durable_ledger.url) as client:
            client.config_set("appendfsync", "everysec")
            client.config_set("maxmemory-policy", "allkeys-lru")
        assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "appendfsync is everysec" in said
    assert "set it to noeviction" in said


def test_problems_are_reported_and_repaired_only_on_request(
    durable_ledger: LedgerHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a job that no index leads to
    job_id = job_in(durable_ledger, Status.QUEUED)
    drop_alarms(durable_ledger, job_id)
    durable_ledger.store.zrem("hg:jobs", job_id)
    # When the doctor checks, it explains the problem and changes nothing
    for _ in range(2):
        assert main(["doctor"]) == 1
        assert capsys.readouterr().out.splitlines() == [
            f"ledger: {job_id}: not indexed: missing or misplaced in hg:jobs, so lists do not"
            " show it (--repair fixes it)",
            f"ledger: {job_id}: orphaned: queued, and nothing would continue it"
            " (--repair fixes it)",
        ]
    # And with --repair it repairs both, and the next check finds nothing
    assert main(["doctor", "--repair"]) == 0
    assert [line.rpartition(" (")[2] for line in capsys.readouterr().out.splitlines()] == [
        "repaired: added)",
        "repaired: rescheduled)",
    ]
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.startswith("ok:")


def test_problems_that_cannot_be_repaired_remain(
    durable_ledger: LedgerHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    job_id = job_in(durable_ledger, Status.QUEUED)
    durable_ledger.store.delete(f"hg:jobtext:{job_id}")
    for arguments in (["doctor", "--repair"], ["doctor"]):
        assert main(arguments) == 1
        said = capsys.readouterr().out
        assert said.startswith(f"ledger: {job_id}: no text")
        assert "cannot be repaired: cancel it and create a new one" in said


def test_many_problems_are_shown_in_part_and_counted(
    durable_ledger: LedgerHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = durable_ledger.add_jobs(23, apart=True)
    durable_ledger.store.delete("hg:wakes", f"hg:jobtext:{jobs[0]}")
    assert main(["doctor", "--repair"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 21
    assert lines[-1].startswith("ledger: ... and 4 more; in total ")
    assert {"23 repaired", "1 that cannot be repaired"} == {
        part.strip() for part in lines[-1].partition("in total ")[2].split(",")
    }


def test_a_replica_is_named_and_left_alone(
    durable_ledger: LedgerHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    durable_ledger.store.zadd("hg:jobs", {"job_gone": 1})
    durable_ledger.store.replicaof("127.0.0.1", str(free_port()))
    assert main(["doctor", "--repair"]) == 1
    said = capsys.readouterr()
    assert said.out == "store: this is a replica: REDIS_URL must name the primary\n"
    assert said.err == ""
    durable_ledger.store.replicaof("NO", "ONE")


def test_each_missing_variable_has_a_line_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "heliograph.toml").touch()
    monkeypatch.chdir(tmp_path)
    for name in ("REDIS_URL", "SECRET_KEY", "API_KEYS", "HELIOGRAPH_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    assert main(["doctor"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "heliograph doctor: REDIS_URL is not set",
        "heliograph doctor: SECRET_KEY is not set",
        "heliograph doctor: API_KEYS is not set",
    ]


@pytest.mark.usefixtures("ledger")
def test_an_invalid_file_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("not a table\n")
    monkeypatch.setenv("HELIOGRAPH_CONFIG", str(broken))
    assert main(["doctor"]) == 2
    assert capsys.readouterr().err.startswith("heliograph doctor: line 1")
