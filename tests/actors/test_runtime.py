"""A worker's resources: opened at boot whatever Redis does, closed in bounded time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from dramatiq import Broker, Worker
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import MiddlewareError
from structlog.testing import capture_logs

from actors.dramatiq_async.event_loop import LoopThread
from actors.runtime import RuntimeMiddleware, WorkerConfig
from deploy.local.wait import free_port, until
from service.config.settings import Settings
from service.jobs.model import Status
from tests.support.ledger import TIMES, LedgerHarness


def settings_for(url: str) -> Settings:
    """Settings with the defaults of what a worker uses."""
    return Settings.model_construct(redis_url=url, secret_keys=("k" * 32,))


@contextmanager
def opened(settings: Settings) -> Iterator[RuntimeMiddleware]:
    """The resources of a worker that has booted, closed when the block ends."""
    loop = LoopThread()
    resources = RuntimeMiddleware(WorkerConfig(settings, {}, {}, TIMES), loop)
    broker: Broker = StubBroker(middleware=[])
    worker = Worker(broker)
    loop.start()
    try:
        resources.before_worker_boot(broker, worker)
        try:
            yield resources
        finally:
            resources.after_worker_shutdown(broker, worker)
        with pytest.raises(RuntimeError, match="has it booted"):
            _ = resources.runtime
    finally:
        loop.stop()


def heartbeats() -> list[threading.Thread]:
    """The heartbeats that beat in this process."""
    return [thread for thread in threading.enumerate() if thread.name == "heartbeat"]


def test_each_claim_has_an_owner_of_its_own(store_url: str) -> None:
    with opened(settings_for(store_url)) as resources:
        owners = {resources.runtime.owner() for _ in range(100)}
    assert len(owners) == 100


def test_the_resources_close_with_the_worker(store: redis.Redis, store_url: str) -> None:
    with opened(settings_for(store_url)) as resources:
        [beating] = heartbeats()
        assert beating is resources.runtime.heartbeat
    assert heartbeats() == []


def test_a_worker_boots_while_redis_is_down() -> None:
    with (
        capture_logs() as lines,
        opened(settings_for(f"redis://127.0.0.1:{free_port()}/0")) as resources,
    ):
        assert resources.runtime.heartbeat.is_alive()
    assert "account recheck postponed" in [line["event"] for line in lines]


def test_jobs_held_until_a_new_configuration_are_released_at_boot(
    ledger: LedgerHarness, store_url: str
) -> None:
    # Given a job that the workers before this one did not know the account of
    job_id = ledger.add_job()
    ledger.release(ledger.claim(job_id), Status.HELD)
    assert ledger.status(job_id) is Status.HELD
    with opened(settings_for(store_url)):
        assert ledger.status(job_id) is Status.QUEUED


def test_resources_that_cannot_be_opened_end_the_boot_with_the_reason(
    store_url: str, tmp_path: Path
) -> None:
    missing = settings_for(store_url).model_copy(
        update={"callback_ca_bundle": str(tmp_path / "missing.pem")}
    )
    with pytest.raises(MiddlewareError, match=r"cannot be opened: .*missing\.pem"), opened(missing):
        pass


def test_a_resource_that_does_not_close_delays_the_end_by_a_bounded_time(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.runtime.CLOSE_SECONDS", 0.2)

    async def hangs() -> None:
        await asyncio.Event().wait()

    with capture_logs() as lines, opened(settings_for(store_url)) as resources:
        resources._stack.push_async_callback(hangs)
    assert "shutdown timed out" in " ".join(line["event"] for line in lines)
    # The thread that the others wait for has ended all the same
    until(lambda: heartbeats() == [], 10, "the heartbeat's end")
