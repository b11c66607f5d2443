"""Scheduled maintenance, started by hand on a real worker."""

from __future__ import annotations

from typing import Any

import redis
from dramatiq import Message
from dramatiq.brokers.redis import RedisBroker

from deploy.local.wait import until
from service.jobs.actor_routes import NAMESPACE, PERIODIC
from tests.support.scenario import Scenario

GONE = "000000000000"
LIBRARY = f"#!lua name=hg_{GONE}_finish\nredis.register_function('hg_{GONE}', function() end)"


def test_retention_drops_old_jobs_and_functions_of_releases_no_longer_running(
    scenario: Scenario,
) -> None:
    job_id = scenario.create_dm()
    scenario.wait_final(job_id)
    with redis.Redis.from_url(scenario.stack.redis_url) as store:
        # Given a job that ended long ago, and functions that no process has reported for a day
        store.zadd("hg:retention", {job_id: 1})
        store.function_load(LIBRARY, replace=True)
        store.zadd("hg:releases", {GONE: 1})
        # When
        _enqueue("retention", scenario.stack.redis_url)
        # Then
        until(lambda: not store.function_list(f"hg_{GONE}_*"), 30, "the end of the functions")
        assert scenario.api.get(f"/jobs/{job_id}").status_code == 404


def _enqueue(actor: str, url: str) -> None:
    """Enqueue an actor by hand: the scheduler would take minutes."""
    broker: Any = RedisBroker(url=url, namespace=NAMESPACE)  # type: ignore[no-untyped-call]
    broker.declare_queue(PERIODIC)
    broker.enqueue(Message(PERIODIC, actor, (), {}, {}))
    broker.client.xadd(f"hg:bell:{PERIODIC}", {"r": "1"}, maxlen=1)
    broker.close()
