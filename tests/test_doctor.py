"""`heliograph doctor` on a real store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from deploy.local.store import Store
from service.cli import main
from service.jobs.model import Status
from tests.support.ledgers import TIMES, Books, opened_books
from tests.support.stages import job_in


@pytest.fixture
def books(
    store_url: str, store: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Books]:
    """A ledger, and the environment of a process that uses it."""
    config = tmp_path / "heliograph.toml"
    config.touch()
    monkeypatch.setenv("REDIS_URL", store_url)
    monkeypatch.setenv("HELIOGRAPH_CONFIG", str(config))
    monkeypatch.setenv("SECRET_KEY", "x" * 32)
    monkeypatch.setenv("API_KEYS", "ann:" + "k" * 32)
    with opened_books(store_url, TIMES) as opened:
        yield opened


def test_a_store_as_production_should_have_it_is_praised(
    books: Books,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Store(tmp_path / "valkey") as durable:
        monkeypatch.setenv("REDIS_URL", durable.url)
        assert main(["doctor"]) == 0
    assert capsys.readouterr().out.startswith("ok:")


def test_settings_that_lose_what_was_acknowledged_are_named(
    books: Books,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Store(tmp_path / "valkey") as durable:
        monkeypatch.setenv("REDIS_URL", durable.url)
        with redis.Redis.from_url(durable.url) as client:
            client.config_set("appendfsync", "everysec")
            client.config_set("maxmemory-policy", "allkeys-lru")
        assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "appendfsync is everysec" in said
    assert "set noeviction" in said


@pytest.mark.parametrize(
    "status", [Status.SCHEDULED, Status.QUEUED, Status.WAITING, Status.RUNNING, Status.SENDING]
)
def test_work_that_nothing_leads_to_is_told_and_on_request_woken(
    books: Books, status: Status, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a job that fell out of every index
    job_id = job_in(books, status)
    for index in ("hg:due", "hg:wakes", "hg:leases", "hg:turns"):
        books.store.zrem(index, job_id, "shop")
    # When the doctor looks, it is told and left alone
    main(["doctor"])
    assert f"{job_id}: unreachable" in capsys.readouterr().out
    # And when asked to, it is mended: the next look finds nothing
    main(["doctor", "--repair"])
    assert f"{job_id}: unreachable (mended)" in capsys.readouterr().out
    main(["doctor"])
    assert job_id not in capsys.readouterr().out


def test_an_index_that_tells_what_is_not_so_is_corrected(
    books: Books, capsys: pytest.CaptureFixture[str]
) -> None:
    job_id = job_in(books, Status.SUCCEEDED)
    books.store.zadd("hg:jobs:status:queued", {job_id: 1, "job_gone": 2})
    main(["doctor", "--repair"])
    said = capsys.readouterr().out
    assert f"{job_id}: another status (mended)" in said
    assert "job_gone: no record (mended)" in said
    main(["doctor"])
    assert "ledger:" not in capsys.readouterr().out


def test_unusable_settings_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    assert main(["doctor"]) == 2
    assert capsys.readouterr().err == "cannot look: REDIS_URL is not set\n"
