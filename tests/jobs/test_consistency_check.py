"""The examination: whatever is broken by hand in lists and records is found and mended."""

from __future__ import annotations

from typing import Final

import pytest

from service.jobs.model import FINAL, KINDS, Status
from service.jobs.queries import JobFilter
from tests.support.health import lost, mended, work_off
from tests.support.invariants import ALARMS, diagnosis
from tests.support.job_stages import job_in
from tests.support.ledgers import DAY, SECOND, TIMES, Books

UNENDED: Final = [status for status in Status if status not in FINAL]
#: The indexes that name a job, as `str.format` fills them in.
LISTS: Final = (
    "hg:jobs",
    "hg:jobs:status:{status}",
    "hg:jobs:account:shop",
    "hg:jobs:kind:dm",
)
LANES: Final = ("look", "dm", "dm_new_thread", "dm_unknown", "comment")
MEMBERS: Final = (
    *("hg:jobs", "hg:jobs:status:queued", "hg:jobs:account:shop", "hg:jobs:kind:comment"),
    *(f"hg:acct:shop:line:{lane}" for lane in LANES),
    *(f"hg:acct:shop:held:{kind}" for kind in KINDS),
    *ALARMS,
)


@pytest.mark.parametrize("status", Status)
def test_a_job_in_any_state_is_sound(books: Books, status: Status) -> None:
    job_in(books, status)
    assert diagnosis(books) == []


@pytest.mark.parametrize("index", LISTS)
@pytest.mark.parametrize("status", Status)
def test_a_job_that_fell_out_of_a_list_is_listed_again(
    books: Books, status: Status, index: str
) -> None:
    job_id, index = job_in(books, status), index.format(status=status)
    books.store.zrem(index, job_id)

    mended(books, (job_id, "unlisted", index))

    shown = books.run(books.reader.jobs(JobFilter(status=status), cursor=None, limit=5))
    assert [job["id"] for job in shown.items] == [job_id]
    assert work_off(books, job_id)


@pytest.mark.parametrize("index", LISTS)
def test_a_job_in_the_wrong_place_of_a_list_is_moved(books: Books, index: str) -> None:
    job_id, index = job_in(books, Status.QUEUED), index.format(status="queued")
    books.store.zadd(index, {job_id: 4711})
    mended(books, (job_id, "unlisted", index))


def test_a_job_in_no_index_at_all_is_found_and_goes_on(books: Books) -> None:
    job_id = job_in(books, Status.QUEUED)
    for index in books.store.scan_iter("hg:*", _type="zset"):
        books.store.zrem(index, job_id)
    books.wakeups()

    problems = {(each.id, each.problem) for each in diagnosis(books, repair=True)}

    assert problems == {(job_id, "unlisted"), (job_id, "unreachable")}
    assert diagnosis(books) == []
    assert books.wakeups() == [job_id]


@pytest.mark.parametrize("index", MEMBERS)
def test_a_member_without_a_record_is_taken_out(books: Books, index: str) -> None:
    books.store.zadd(index, {"job_gone": 1})
    found = diagnosis(books)
    assert ("job_gone", "no record", index) in {(e.id, e.problem, e.where) for e in found}
    diagnosis(books, repair=True)
    assert (diagnosis(books), books.store.zcard(index)) == ([], 0)


@pytest.mark.parametrize(
    "index",
    [
        "hg:jobs:status:queued",
        "hg:jobs:account:studio",
        "hg:jobs:kind:comment",
        *(index for index in MEMBERS if index.startswith("hg:acct") or index in ALARMS),
    ],
)
def test_an_index_that_says_what_the_record_does_not_is_corrected(books: Books, index: str) -> None:
    job_id = job_in(books, Status.SUCCEEDED)
    books.store.zadd(index, {job_id: 1})
    mended(books, (job_id, "wrong index", index))


@pytest.mark.parametrize("status", UNENDED)
def test_a_text_that_is_gone_cannot_be_mended_and_one_that_fades_is_kept(
    books: Books, status: Status
) -> None:
    job_id = job_in(books, status)
    books.store.expire(f"hg:jobtext:{job_id}", 60)
    mended(books, (job_id, "fading text", f"hg:jobtext:{job_id}"))
    assert books.store.ttl(f"hg:jobtext:{job_id}") == -1
    books.store.delete(f"hg:jobtext:{job_id}")
    lost(books, (job_id, "no text", f"hg:jobtext:{job_id}"))


@pytest.mark.parametrize("field", ["seq", "status", "account", "run_at"])
def test_a_record_that_cannot_be_read_is_named_and_left_alone(books: Books, field: str) -> None:
    job_id = job_in(books, Status.SCHEDULED)
    books.store.hdel(f"hg:job:{job_id}", field)
    before = books.store.hgetall(f"hg:job:{job_id}")
    lost(books, (job_id, "broken record", field))
    assert books.store.hgetall(f"hg:job:{job_id}") == before


def test_a_key_of_another_type_is_named_and_the_rest_examined(books: Books) -> None:
    books.store.set("hg:job:job_odd", "?")
    other = job_in(books, Status.QUEUED)
    books.store.zrem("hg:jobs", other)
    found = {(each.id, each.problem) for each in diagnosis(books, repair=True)}
    assert found == {("job_odd", "broken record"), (other, "unlisted")}


def test_what_a_newer_release_has_written_is_left_to_it(books: Books) -> None:
    job_id = job_in(books, Status.SUCCEEDED)
    books.store.hset(f"hg:job:{job_id}", mapping={"v": 3, "status": "pondering"})
    assert diagnosis(books, repair=True) == []


@pytest.mark.parametrize("status", sorted(FINAL))
def test_what_would_never_be_forgotten_is(books: Books, status: Status) -> None:
    job_id = job_in(books, status)
    books.store.zrem("hg:retention", job_id)
    books.pass_time(DAY)
    mended(books, (job_id, "never forgotten", "hg:retention"))
    books.pass_time(TIMES.keep - DAY + SECOND)
    books.run(books.ledger.prune())
    assert not books.store.exists(f"hg:job:{job_id}")


def test_every_page_of_every_index_is_looked_at(books: Books) -> None:
    jobs = books.many(1_100, apart=True)
    books.store.delete("hg:wakes")
    books.store.zadd("hg:due", {f"job_gone_{number}": number for number in range(1_100)})

    found = diagnosis(books, repair=True)

    assert {each.id for each in found if each.problem == "unreachable"} == set(jobs)
    assert sum(each.problem == "no record" for each in found) == 1_100
    assert diagnosis(books) == []
