"""Refusals in a row, through the real client: when they are the account's trouble."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from actors.jobs.account_trouble import MAX_IN_A_ROW
from deploy.local.instagram.client import FakeInstagram
from service.jobs.model import Status
from service.jobs.records import JobRecord
from tests.support import fake_instagram as fixtures
from tests.support.account_worker import AccountWorker, open_account_worker
from tests.support.ledger import DAY, HOUR, SECOND

fake_instagram_process = fixtures.fake_instagram_process
fake_instagram = fixtures.fake_instagram

NAMES = ("alice.one", "bob.two", "carol.three")


@pytest.fixture
def worker(
    fake_instagram: FakeInstagram, store: redis.Redis, store_url: str
) -> Iterator[AccountWorker]:
    with open_account_worker(store_url, fake_instagram) as worker:
        for name in NAMES:
            fake_instagram.add_user(name)
        yield worker


def dm(worker: AccountWorker, to: str) -> JobRecord:
    return worker.attempt(worker.ledger.add_job(to=to))


def look_up(worker: AccountWorker, name: str) -> JobRecord:
    return worker.attempt(worker.look_up(name))


def held_for(worker: AccountWorker) -> str | None:
    hold = worker.account()["hold"]
    return str(hold["reason"]) if hold else None


def refuse_writes(worker: AccountWorker, times: int | None = None) -> None:
    worker.fake_instagram.fault("broadcast_text", error="unauthorized", times=times)


def hide_users(worker: AccountWorker, times: int | None = None) -> None:
    worker.fake_instagram.fault("usernameinfo", error="user_not_found", times=times)


# Not authorized


def test_several_unauthorized_jobs_in_a_row_hold_the_account_and_none_fails(
    worker: AccountWorker,
) -> None:
    refuse_writes(worker)
    jobs = [dm(worker, name) for name in NAMES]
    assert [job.status for job in jobs] == [Status.WAITING, Status.WAITING, Status.HELD]
    assert held_for(worker) == "unauthorized"
    assert "Use the app" in worker.account()["hold"]["note"]

    worker.fake_instagram.clear_faults()
    worker.resume()
    worker.run_due(HOUR)
    assert {worker.ledger.status(job.id) for job in jobs} == {Status.SUCCEEDED}
    assert (worker.passwords(), len(worker.fake_instagram.dms())) == (1, len(NAMES))


def test_lookups_that_are_unauthorized_wait_for_each_other(worker: AccountWorker) -> None:
    worker.fake_instagram.fault("usernameinfo", error="unauthorized", times=None)
    jobs = [look_up(worker, NAMES[0]), look_up(worker, NAMES[1])]
    worker.run_due(30 * SECOND)
    jobs = [worker.ledger.record(job.id) for job in jobs] + [look_up(worker, NAMES[2])]
    assert [job.status for job in jobs] == [Status.WAITING, Status.WAITING, Status.HELD]
    assert held_for(worker) == "unauthorized"


def test_one_job_that_is_not_authorized_again_and_again_is_its_own_trouble(
    worker: AccountWorker,
) -> None:
    refuse_writes(worker)
    job = dm(worker, NAMES[0])
    for _ in range(MAX_IN_A_ROW):
        worker.run_due(HOUR)
    assert held_for(worker) is None
    assert worker.ledger.record(job.id).attempts > MAX_IN_A_ROW


def test_a_success_ends_the_row(worker: AccountWorker) -> None:
    refuse_writes(worker, times=2)
    dm(worker, NAMES[0])
    dm(worker, NAMES[1])
    assert dm(worker, NAMES[2]).status is Status.SUCCEEDED
    refuse_writes(worker)
    dm(worker, "some.handle")
    assert held_for(worker) is None


def test_refusals_that_are_more_than_a_day_apart_are_no_row(worker: AccountWorker) -> None:
    refuse_writes(worker)
    dm(worker, NAMES[0])
    dm(worker, NAMES[1])
    worker.ledger.pass_time(DAY + SECOND)
    assert dm(worker, NAMES[2]).status is Status.WAITING
    assert held_for(worker) is None


def test_a_job_that_fails_for_itself_does_not_end_the_row(worker: AccountWorker) -> None:
    refuse_writes(worker)
    dm(worker, NAMES[0])
    dm(worker, NAMES[1])
    assert dm(worker, "nobody.of.this.name").status is Status.FAILED
    assert dm(worker, NAMES[2]).status is Status.HELD
    assert held_for(worker) == "unauthorized"


def test_a_resume_ends_the_row(worker: AccountWorker) -> None:
    refuse_writes(worker)
    for name in NAMES:
        dm(worker, name)
    worker.resume()
    worker.run_due()
    # One more refusal, of the job that was held, is the first of a new row.
    assert held_for(worker) is None


# Not found


def test_known_users_not_found_in_a_row_hold_the_account_and_keep_their_copies(
    worker: AccountWorker,
) -> None:
    # Given users whose copies are kept
    for name in NAMES:
        assert look_up(worker, name).status is Status.SUCCEEDED
    copies = [worker.copy_of(name) for name in NAMES]
    assert all(copies)
    # When Instagram hides everybody
    hide_users(worker)
    jobs = [look_up(worker, name) for name in NAMES]
    # Then nobody is taken for gone, and a person is told
    assert [job.status for job in jobs] == [Status.WAITING, Status.WAITING, Status.HELD]
    assert held_for(worker) == "account_limited"
    assert "limits what the account sees" in worker.account()["hold"]["note"]
    assert [worker.copy_of(name) for name in NAMES] == copies
    # When it shows them again
    worker.fake_instagram.clear_faults()
    worker.resume()
    worker.run_due(75 * SECOND)
    assert {worker.ledger.status(job.id) for job in jobs} == {Status.SUCCEEDED}


def test_an_account_that_sees_nobody_any_more_is_held(worker: AccountWorker) -> None:
    for name in NAMES:
        look_up(worker, name)
    worker.fake_instagram.limit_account("shop")
    jobs = [look_up(worker, name) for name in NAMES]
    assert [job.status for job in jobs] == [Status.WAITING, Status.WAITING, Status.HELD]
    assert held_for(worker) == "account_limited"


def test_dms_to_users_who_were_found_before_wait_as_well(worker: AccountWorker) -> None:
    for name in NAMES:
        assert dm(worker, name).status is Status.SUCCEEDED
        worker.ledger.store.delete(f"hg:pk:{name}")  # a day later
    hide_users(worker)
    jobs = [worker.attempt(worker.ledger.add_job(to=name, text="again")) for name in NAMES]
    assert [job.status for job in jobs] == [Status.WAITING, Status.WAITING, Status.HELD]
    assert held_for(worker) == "account_limited"


def test_unknown_users_fail_at_once_however_many(worker: AccountWorker) -> None:
    hide_users(worker)
    jobs = [dm(worker, f"nobody.{number}") for number in range(MAX_IN_A_ROW + 2)]
    assert {job.status for job in jobs} == {Status.FAILED}
    assert held_for(worker) is None


def test_a_known_user_who_is_gone_is_believed_after_the_third_look(worker: AccountWorker) -> None:
    assert look_up(worker, NAMES[0]).status is Status.SUCCEEDED
    hide_users(worker, times=3)
    job = look_up(worker, NAMES[0])
    assert worker.copy_of(NAMES[0]) is not None
    for seconds in (75, 185):
        worker.run_due(seconds * SECOND)
    record = worker.ledger.record(job.id)
    assert (record.status, record.attempts) == (Status.FAILED, 3)
    assert worker.copy_of(NAMES[0]) is None


def test_a_user_who_is_found_ends_the_row(worker: AccountWorker) -> None:
    for name in NAMES:
        look_up(worker, name)
    hide_users(worker, times=2)
    look_up(worker, NAMES[0])
    look_up(worker, NAMES[1])
    assert dm(worker, "some.handle").status is Status.SUCCEEDED
    hide_users(worker)
    assert look_up(worker, NAMES[2]).status is Status.WAITING
    assert held_for(worker) is None


# Feedback


def test_a_job_that_makes_its_kind_rest_three_times_fails_and_others_go_on(
    worker: AccountWorker,
) -> None:
    # Given a text that Instagram answers with nothing but `feedback_required`
    worker.fake_instagram.fault("broadcast_text", error="feedback_required", times=3)
    job, other = dm(worker, NAMES[0]), worker.ledger.add_job(to=NAMES[1])
    # When the account has rested, a day and then three
    worker.run_due(25 * HOUR)
    assert worker.ledger.status(job.id) is Status.WAITING
    worker.run_due(80 * HOUR)
    # Then that job fails, and the other does not wait for it
    assert worker.ledger.status(job.id) is Status.FAILED
    assert (worker.ledger.record(job.id).error or {})["code"] == "feedback_required"
    worker.run_due(HOUR)
    assert worker.ledger.status(other) is Status.SUCCEEDED
