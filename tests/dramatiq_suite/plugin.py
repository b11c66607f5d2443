"""The pytest plugin under which Dramatiq's own tests run on Heliograph's broker and dispatch.

It has the fixtures of Dramatiq's `tests/conftest.py`, which its source distribution lacks, and
writes each test's outcome to a file. It replaces Dramatiq's Worker, so it needs its own process.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import dramatiq
import dramatiq.worker
import pytest
import redis
import structlog
from dramatiq.rate_limits import backends as rate_limits
from dramatiq.results import backends as results

from tests.dramatiq_suite import common
from tests.dramatiq_suite.adapter import StubLikeBroker, SuiteBroker, SuiteWorker

#: Where the store is, and where the outcomes go.
STORE_VARIABLE: Final = "SUITE_STORE_URL"
OUTCOMES_VARIABLE: Final = "SUITE_OUTCOMES"
#: The package that the tests are unpacked as.
PACKAGE: Final = "dramatiq_tests"

_outcomes: dict[str, str] = {}


def pytest_configure() -> None:
    """Put the adapter in place before the tests are imported."""
    sys.modules[f"{PACKAGE}.common"] = common
    # `test_broker.py` imports it for two tests; it needs a client library of RabbitMQ.
    rabbitmq = ModuleType("dramatiq.brokers.rabbitmq")
    rabbitmq.RabbitmqBroker = None  # type: ignore[attr-defined]
    sys.modules[rabbitmq.__name__] = rabbitmq
    everywhere: Any = (dramatiq, dramatiq.worker)
    for module in everywhere:
        module.Worker = SuiteWorker
    # Tests look at what the standard library's loggers are called with.
    structlog.configure(
        processors=[
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lower the number of messages by which two tests try out the bounds of Dramatiq's own script.

    They are about the maintenance that Heliograph turns off, and take most of a minute.
    """
    for item in items:
        module = item.getparent(pytest.Module)
        if module is not None and hasattr(module.obj, "LUA_MAX_UNPACK_SIZE"):
            module.obj.LUA_MAX_UNPACK_SIZE = 200


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember whether a test passed, with its set-up and its end."""
    name = report.nodeid.removeprefix(f"{PACKAGE}/")
    if _outcomes.get(name, "passed") == "passed":
        _outcomes[name] = report.outcome


def pytest_sessionfinish() -> None:
    """Write the outcomes."""
    Path(os.environ[OUTCOMES_VARIABLE]).write_text(json.dumps(_outcomes))


@pytest.fixture
def store() -> Iterator[redis.Redis]:
    """A client to the store, which is empty when the test starts."""
    with redis.Redis.from_url(os.environ[STORE_VARIABLE]) as client:
        client.flushdb()
        yield client


@pytest.fixture
def stub_broker(store: redis.Redis) -> Iterator[StubLikeBroker]:
    """The broker, where Dramatiq's tests use the one in memory."""
    yield from _running(StubLikeBroker(os.environ[STORE_VARIABLE]))


@pytest.fixture
def redis_broker(store: redis.Redis) -> Iterator[SuiteBroker]:
    """The broker, where Dramatiq's tests use the one on Redis."""
    yield from _running(SuiteBroker(os.environ[STORE_VARIABLE]))


def _running(broker: Any) -> Iterator[Any]:
    broker.emit_after("process_boot")
    dramatiq.set_broker(broker)
    yield broker
    broker.close()
    broker.client.close()


@pytest.fixture
def stub_worker(stub_broker: StubLikeBroker) -> Iterator[SuiteWorker]:
    """A worker that looks around ten times a second."""
    with common.worker(stub_broker, worker_timeout=100, worker_threads=32) as worker:
        yield worker


@pytest.fixture
def redis_worker(redis_broker: SuiteBroker) -> Iterator[SuiteWorker]:
    """A worker that looks around ten times a second."""
    with common.worker(redis_broker, worker_timeout=100, worker_threads=32) as worker:
        yield worker


@pytest.fixture(params=["redis", "stub"])
def result_backend(request: pytest.FixtureRequest, store: redis.Redis) -> Any:
    """Where results are kept."""
    kinds: Any = {"redis": results.RedisBackend, "stub": results.StubBackend}
    options = {"client": store} if request.param == "redis" else {}
    return kinds[request.param](**options)


@pytest.fixture
def redis_result_backend(store: redis.Redis) -> Any:
    """Results in the store."""
    return results.RedisBackend(client=store)


@pytest.fixture(params=["redis", "stub"])
def rate_limiter_backend(request: pytest.FixtureRequest, store: redis.Redis) -> Any:
    """Where barriers are kept."""
    kinds: Any = {"redis": rate_limits.RedisBackend, "stub": rate_limits.StubBackend}
    options = {"client": store} if request.param == "redis" else {}
    return kinds[request.param](**options)
