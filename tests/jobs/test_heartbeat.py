"""The heartbeat: renews a process' claims in one call, and wakes whatever is due."""

from __future__ import annotations

import pytest
import redis

from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.job_states import job_in
from tests.support.ledger import HOUR, SECOND, TIMES, LedgerHarness


def test_one_heartbeat_renews_all_claims_of_a_process(ledger: LedgerHarness) -> None:
    claims = [ledger.claim(ledger.add_job(account=f"account-{number}")) for number in range(50)]
    for _ in range(5):
        ledger.pass_time(TIMES.lease // 2)
        lost, _ = ledger.heartbeat(*claims)
        assert lost == []

    assert all(ledger.record_intent(claim) == "ok" for claim in claims)
    assert audit(ledger) == []


def test_a_renewed_claim_keeps_its_accounts_turn(ledger: LedgerHarness) -> None:
    holder = ledger.claim(ledger.add_job())
    waiter = ledger.add_job()
    for _ in range(5):
        ledger.pass_time(TIMES.lease // 2)
        ledger.heartbeat(holder)
        assert ledger.try_claim(waiter) is None

    assert ledger.turn() == holder.id


def test_a_heartbeat_returns_the_lost_claims(ledger: LedgerHarness) -> None:
    kept, taken, ended, unknown = (
        ledger.claim(ledger.add_job(account=name), "one") for name in ("a", "b", "c", "d")
    )
    ledger.finish(ended)
    ledger.release(taken, Status.QUEUED)
    ledger.claim(taken.id, "another")
    ledger.store.delete(f"hg:job:{unknown.id}")

    lost, _ = ledger.heartbeat(kept, taken, ended, unknown)

    assert sorted(lost) == sorted([taken.id, ended.id, unknown.id])


def test_an_expired_lease_is_not_renewed(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job())
    ledger.pass_time(TIMES.lease)

    assert ledger.heartbeat(claim)[0] == [claim.id]
    assert ledger.status(claim.id) is Status.QUEUED


def _beats_with_wakeups(ledger: LedgerHarness, beats: int) -> list[int]:
    """The heartbeats, a lease apart, that sent a wake-up; nothing claims it."""
    wakeups = []
    for beat in range(beats):
        if ledger.take_messages():
            wakeups.append(beat)
        ledger.pass_time(TIMES.lease)
        ledger.heartbeat()
    return wakeups


def test_an_unclaimed_wake_up_is_repeated_at_growing_intervals(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()

    assert _beats_with_wakeups(ledger, 100) == [0, 1, 3, 7, 15, 31, 63, 95]
    assert ledger.claim(job_id)


def test_repeats_of_an_earlier_wake_up_do_not_delay_the_next_one(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    _beats_with_wakeups(ledger, 20)
    ledger.release(ledger.claim(job_id), Status.WAITING, after_ms=SECOND)
    ledger.pass_time(SECOND)
    ledger.heartbeat()

    assert _beats_with_wakeups(ledger, 8) == [0, 1, 3, 7]


def test_a_turn_granted_after_many_repeats_is_announced_without_delay(
    ledger: LedgerHarness,
) -> None:
    waiter = ledger.add_job()
    _beats_with_wakeups(ledger, 20)
    until = str(ledger.record(waiter).created_ms + HOUR)
    ledger.store.hset("hg:acct:shop", mapping={"cool:dm": until, "cool_why:dm": "slow_down"})
    assert ledger.try_claim(waiter) is None
    assert ledger.status(waiter) is Status.WAITING
    ledger.take_messages()
    ledger.pass_time(HOUR)
    ledger.heartbeat()

    assert _beats_with_wakeups(ledger, 8) == [0, 1, 3, 7]


def test_the_repeats_of_a_verification_start_over_with_each_one(ledger: LedgerHarness) -> None:
    verification = ledger.claim_and_send(ledger.add_job())
    ledger.release(verification, Status.SENDING, charge="free")
    ledger.heartbeat()
    _beats_with_wakeups(ledger, 20)
    ledger.release(ledger.claim(verification.id), Status.SENDING, charge="free")
    ledger.take_messages()
    ledger.heartbeat()

    assert _beats_with_wakeups(ledger, 8) == [0, 1, 3, 7]


def test_the_repeats_of_a_callback_start_over_with_each_attempt(ledger: LedgerHarness) -> None:
    job_in(ledger, Status.CANCELED)
    [delivery_id] = ledger.take_messages("callbacks")
    for _ in range(20):
        ledger.pass_time(TIMES.lease)
        ledger.heartbeat()
    claim = ledger.run(ledger.deliveries.claim(delivery_id, "worker"))
    assert claim is not None
    ledger.run(ledger.deliveries.record(claim, "pending", {}))
    ledger.take_messages("callbacks")

    wakeups = []
    for beat in range(4):
        ledger.heartbeat()
        if ledger.take_messages("callbacks"):
            wakeups.append(beat)
        ledger.pass_time(TIMES.lease)
    assert wakeups == [0, 1, 3]


@pytest.mark.parametrize("queue", ["actions", "callbacks"])
def test_a_long_queue_gets_no_repeats_and_a_lost_message_is_repeated_once_it_is_short(
    ledger: LedgerHarness, queue: str
) -> None:
    # Given a queue too long for repeats, and a lost message
    lost = _add_work(ledger, queue)
    assert ledger.take_messages(queue) == [lost]
    backlog = 501
    ledger.store.rpush(f"hg-mq:{queue}", *range(backlog))
    # When nothing is claimed for long
    for _ in range(20):
        ledger.pass_time(TIMES.lease)
        ledger.heartbeat()
        assert audit(ledger) == []
    # Then the queue has not grown; once it is shorter, the lost one wakeups within a lease
    assert ledger.store.llen(f"hg-mq:{queue}") == backlog
    ledger.store.delete(f"hg-mq:{queue}")
    ledger.pass_time(TIMES.lease)
    ledger.heartbeat()
    assert ledger.take_messages(queue) == [lost]


def _add_work(ledger: LedgerHarness, queue: str) -> str:
    """Add the one message of a queue; returns the id it carries."""
    job_id = ledger.add_job()
    if queue == "actions":
        return job_id
    assert ledger.run(ledger.core.cancel(job_id, "api:test")) == "ok"
    return str(ledger.deliveries_of(job_id)[0]["id"])


def test_one_heartbeat_wakes_the_jobs_of_every_account_that_are_due(ledger: LedgerHarness) -> None:
    claims = [ledger.claim(ledger.add_job(account=f"account-{number}")) for number in range(20)]
    for claim in claims:
        ledger.release(claim, Status.WAITING, after_ms=HOUR)
    ledger.take_messages()

    ledger.pass_time(HOUR)
    ledger.heartbeat()

    assert sorted(ledger.take_messages()) == sorted(claim.id for claim in claims)


def test_a_heartbeat_does_a_bounded_amount_and_reports_if_there_is_more(
    ledger: LedgerHarness,
) -> None:
    jobs = [ledger.add_job(delay_ms=SECOND, account=f"account-{number}") for number in range(25)]
    ledger.pass_time(SECOND)

    counts = [ledger.heartbeat(most=10)[1] for _ in range(4)]

    assert counts == [10, 10, 5, 0]
    assert sorted(ledger.take_messages()) == sorted(jobs)


def test_a_heartbeat_on_an_empty_store_stores_only_where_history_stands(
    ledger: LedgerHarness,
) -> None:
    for _ in range(2):
        assert ledger.heartbeat() == ([], 0)
    assert set(ledger.store.scan_iter()) == {b"hg:replid", b"hg:history", b"hg:marks"}


def test_claims_of_another_process_are_left_alone(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job(), "theirs")
    ledger.pass_time(TIMES.lease - SECOND)

    ledger.heartbeat()

    assert ledger.record_intent(claim) == "ok"


@pytest.mark.parametrize(
    "stage",
    [
        Status.SCHEDULED,
        Status.QUEUED,
        Status.WAITING,
        Status.HELD,
        Status.RUNNING,
        Status.SENDING,
    ],
)
def test_a_rescue_wakes_unreachable_jobs(ledger: LedgerHarness, stage: Status) -> None:
    job_id = job_in(ledger, stage)
    ledger.take_messages()
    ledger.pass_time(2 * HOUR)
    _strand(ledger.store)

    assert len(ledger.run(ledger.core.rescue_stranded())) == 1
    for _ in range(2):
        ledger.heartbeat()

    assert ledger.take_messages() == [job_id]
    assert ledger.claim(job_id).verify_first == (stage is Status.SENDING)
    assert len(ledger.run(ledger.core.rescue_stranded())) == 0


def test_a_rescue_wakes_unreachable_deliveries(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.SUCCEEDED)
    [delivery] = ledger.deliveries_of(job_id)
    ledger.take_messages("callbacks")
    _strand(ledger.store)

    assert len(ledger.run(ledger.core.rescue_stranded())) == 1
    ledger.heartbeat()

    assert ledger.take_messages("callbacks") == [delivery["id"]]


def test_a_rescue_leaves_reachable_work_alone(ledger: LedgerHarness) -> None:
    for number, stage in enumerate(Status):
        job_in(ledger, stage, account=f"account-{number}")
    ledger.claim(ledger.add_job(account="busy"))
    assert ledger.try_claim(ledger.add_job(account="busy")) is None

    assert len(ledger.run(ledger.core.rescue_stranded())) == 0


def test_a_rescue_checks_every_page(ledger: LedgerHarness) -> None:
    jobs = ledger.add_jobs(700, apart=True)
    ledger.store.delete("hg:wakes")
    ledger.take_messages()

    assert len(ledger.run(ledger.core.rescue_stranded())) == len(jobs)
    assert sorted(ledger.take_messages()) == sorted(jobs)
    assert not ledger.store.exists("hg:sweep")


def test_a_rescue_stops_at_its_limit_and_the_next_continues(ledger: LedgerHarness) -> None:
    queued = ledger.add_jobs(30, apart=True)
    scheduled = ledger.add_jobs(30, delay_ms=HOUR)
    ledger.store.delete("hg:wakes", "hg:due")

    found = [ledger.run(ledger.core.rescue_stranded(25)) for _ in range(3)]

    assert [len(page) for page in found] == [25, 25, 10]
    assert [finding.id for page in found for finding in page] == [*queued, *scheduled]
    assert ledger.run(ledger.core.rescue_stranded()) == []


def test_changes_during_a_rescue_round_do_not_disturb_it(
    ledger: LedgerHarness,
) -> None:
    # Given a round that has stopped among jobs which end meanwhile
    first, last = ledger.add_jobs(30, apart=True), ledger.add_jobs(30, delay_ms=HOUR)
    assert ledger.run(ledger.core.rescue_stranded(20)) == []
    for job_id in first[10:]:
        ledger.run(ledger.core.cancel(job_id, "api:test"))
    ledger.add_jobs(30, apart=True, account="late")
    # When a job that it has yet to check becomes unreachable, and one that it has checked
    ledger.store.zrem("hg:due", last[-1])
    ledger.store.zrem("hg:wakes", first[0])
    # Then this round finds the former, and the next round the latter
    assert [finding.id for finding in ledger.run(ledger.core.rescue_stranded())] == [last[-1]]
    assert [finding.id for finding in ledger.run(ledger.core.rescue_stranded())] == [first[0]]


def test_a_rescue_with_an_unknown_position_starts_over(
    ledger: LedgerHarness,
) -> None:
    job_id = ledger.add_job()
    ledger.store.delete("hg:wakes")
    ledger.store.set("hg:sweep", "hg:jobs:status:pondering 17")

    assert [finding.id for finding in ledger.run(ledger.core.rescue_stranded())] == [job_id]


def _strand(store: redis.Redis) -> None:
    """Delete every index that would wake work."""
    alarms = ["hg:due", "hg:wakes", "hg:leases", "hg:turns", "hg:expiry"]
    lists = [key for key in store.scan_iter("hg:acct:*") if store.type(key) != b"hash"]
    store.delete(*alarms, *lists)
    for key in store.scan_iter("hg:acct:*"):
        store.hdel(key, "hold")
