"""Memory stays flat while a walk grows, on both sides: six times the rows, no more of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.local.stack import Stack
from tests.support.follower_jobs import walk, walked_on
from tests.support.followers import begun
from tests.support.journey import Journey
from tests.support.ledgers import opened_books
from tests.support.memory import resident_mib, watched

FEW, MANY = 10_000, 60_000
#: A page is a call to the fake Instagram.
WALKED_FEW, WALKED = 5_000, 30_000
#: 50,000 rows of JSON are 5 MiB, as objects 25.
SLACK_MIB = 4.0
FORMS = ("application/x-ndjson", "text/csv")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Processes that no other test has grown."""
    with Stack(tmp_path_factory.mktemp("memory"), processes=("web",)) as running:
        yield running


@pytest.fixture
def journey(stack: Stack) -> Iterator[Journey]:
    """A way through it."""
    made = Journey(stack, "memory")
    yield made
    made.api.close()


def told(journey: Journey, job_id: str, form: str) -> int:
    """Read the rows of a walk, keeping none; how many there were."""
    path, headers = f"/jobs/{job_id}/result", {"Accept": form}
    with journey.api.stream("GET", path, headers=headers) as answer:
        return sum(chunk.count(b"\n") for chunk in answer.iter_bytes())


@pytest.mark.parametrize("form", FORMS)
def test_a_web_process_tells_many_rows_in_the_memory_of_few(journey: Journey, form: str) -> None:
    # Given walks that have found few and many, a page at a time
    with opened_books(journey.stack.redis_url) as books:
        few = begun(books, FEW // 200, account=f"few-{form}")
        many = begun(books, MANY // 200, account=f"many-{form}")
    told(journey, few, form)
    pid = journey.stack.processes["web"].pid
    # When both are told
    with watched(pid) as with_few:
        told(journey, few, form)
    with watched(pid) as with_many:
        assert told(journey, many, form) >= MANY
    # Then many took no more than few
    assert with_many.most - with_few.most < SLACK_MIB


def test_a_worker_walks_over_many_in_the_memory_of_few(journey: Journey) -> None:
    stack = journey.stack
    worker = stack.start("worker")
    for name, followers in (("warm.up", 2_000), ("many.followers", WALKED)):
        stack.fake_instagram.add_user(name, followers=followers)
    journey.ended(walk(journey, "warm.up"), 60)
    job_id = walk(journey, "many.followers")
    walked_on(journey, job_id, WALKED_FEW, 60)
    early = resident_mib(worker.pid)
    with watched(worker.pid) as late:
        assert journey.ended(job_id, 90)["progress"]["users"] == WALKED
    worker.stop()
    assert late.most - early < SLACK_MIB
