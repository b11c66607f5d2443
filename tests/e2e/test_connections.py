"""The smallest hosted Redis plans allow twenty connections; the Procfile needs fewer."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from deploy.local.stack import Stack
from deploy.local.wait import until
from tests.support.doctor import run_doctor
from tests.support.scenario import Scenario

PLAN = 20
#: Connections of the counter itself.
OURS = 1
JOBS = 40


class Count:
    """Counts the most connections at a time, except the counter's own."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._stopped = threading.Event()
        self.most = 0
        self.by_command: Counter[str] = Counter()

    def run(self) -> None:
        """Count until stopped."""
        while not self._stopped.wait(0.01):
            others = [each for each in self._client.client_list() if each["cmd"] != "client|list"]
            if len(others) > self.most:
                self.most = len(others)
                self.by_command = Counter(each["cmd"] for each in others)

    def stop(self) -> None:
        """Stop counting."""
        self._stopped.set()


@contextmanager
def counted(url: str) -> Iterator[Count]:
    """Count until the end of the block."""
    with redis.Redis.from_url(url, max_connections=1) as client:
        count = Count(client)
        thread = threading.Thread(target=count.run)
        thread.start()
        try:
            yield count
        finally:
            count.stop()
            thread.join()


@pytest.mark.parametrize("web_concurrency", ["1", "2"])
def test_the_default_procfile_fits_the_smallest_plan_under_load(
    tmp_path: Path, web_concurrency: str
) -> None:
    # Heroku sets the variable to 2 by default
    with Stack(tmp_path, environ={"WEB_CONCURRENCY": web_concurrency}) as stack:
        with redis.Redis.from_url(stack.redis_url) as client:
            client.config_set("maxclients", PLAN)
        scenario = Scenario(stack, "connections")
        with (
            counted(stack.redis_url) as count,
            ThreadPoolExecutor(JOBS) as many,
            scenario.api.stream("GET", "/live") as live,
        ):
            # When everything is used at once: events, jobs, waits, pages, the command line
            live.raise_for_status()
            shown = many.submit(run_doctor, stack)
            answers = [
                many.submit(scenario.send, "checkout.session.completed", str(n))
                for n in range(JOBS)
            ]
            jobs = [answer.result().body["jobs"][0] for answer in answers]
            waits = [many.submit(scenario.api.get, f"/jobs/{job}?wait=20") for job in jobs]
            pages = [many.submit(scenario.api.get, path) for path in ("/metrics", "/events") * 10]
            for request in (*waits, *pages):
                request.result().raise_for_status()
            for job in jobs:
                assert scenario.wait_final(job)["status"] == "succeeded"
            until(lambda: len(stack.receiver.received()) >= JOBS, 30, "the callbacks")
        scenario.api.close()
        output = "".join(process.log.read_text() for process in stack.processes.values())
    # Then it fits, even with `heliograph doctor` running
    assert shown.result() == 0
    assert count.most + OURS <= PLAN, count.by_command
    assert "max number of clients" not in output
