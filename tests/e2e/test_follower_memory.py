"""Memory does not grow with a follower export: six times the rows in the same memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.local.stack import Stack
from tests.support.follower_exports import start_export, wait_rows
from tests.support.follower_rows import started_export
from tests.support.ledger import open_ledger
from tests.support.memory import peak_memory, resident_mib
from tests.support.scenario import Scenario

FEW, MANY = 10_000, 60_000
#: Pages are larger than Instagram's: each one is a call to the fake Instagram.
WALKED_FEW, WALKED = 5_000, 30_000
#: 50,000 rows are 5 MiB of JSON, and 25 MiB as objects.
SLACK_MIB = 4.0
FORMS = ("application/x-ndjson", "text/csv")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Processes whose memory no other test has grown."""
    with Stack(tmp_path_factory.mktemp("memory"), processes=("web",)) as running:
        yield running


@pytest.fixture
def scenario(stack: Stack) -> Iterator[Scenario]:
    """A test's exports on it."""
    made = Scenario(stack, "memory")
    yield made
    made.api.close()


def read_rows(scenario: Scenario, job_id: str, form: str) -> int:
    """Read the rows of an export without keeping them; return how many there were."""
    path, headers = f"/jobs/{job_id}/result", {"Accept": form}
    with scenario.api.stream("GET", path, headers=headers) as answer:
        return sum(chunk.count(b"\n") for chunk in answer.iter_bytes())


@pytest.mark.parametrize("form", FORMS)
def test_a_web_process_serves_many_rows_in_the_memory_of_few(scenario: Scenario, form: str) -> None:
    # Given exports with few rows and with many
    with open_ledger(scenario.stack.redis_url) as ledger:
        few = started_export(ledger, FEW // 200, account=f"few-{form}")
        many = started_export(ledger, MANY // 200, expected=MANY, account=f"many-{form}")
    read_rows(scenario, few, form)
    pid = scenario.stack.processes["web"].pid
    # When both are read
    with peak_memory(pid) as with_few:
        read_rows(scenario, few, form)
    with peak_memory(pid) as with_many:
        assert read_rows(scenario, many, form) >= MANY
    # Then many took no more memory than few
    assert with_many.most - with_few.most < SLACK_MIB


def test_a_worker_exports_many_rows_in_the_memory_of_few(scenario: Scenario) -> None:
    stack = scenario.stack
    worker = stack.start("worker")
    for name, followers in (("warm.up", 2_000), ("many.followers", WALKED)):
        stack.fake_instagram.add_user(name, followers=followers)
    scenario.wait_final(start_export(scenario, "warm.up"), 60)
    job_id = start_export(scenario, "many.followers")
    wait_rows(scenario, job_id, WALKED_FEW, 60)
    early = resident_mib(worker.pid)
    with peak_memory(worker.pid) as late:
        assert scenario.wait_final(job_id, 90)["progress"]["users"] == WALKED
    worker.stop()
    assert late.most - early < SLACK_MIB
