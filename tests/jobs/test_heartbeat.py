"""The beat: renews what a process holds in one call, and rings for what is due to anybody."""

from __future__ import annotations

import pytest
import redis

from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.job_states import job_in
from tests.support.ledger import HOUR, SECOND, TIMES, LedgerHarness


def test_one_beat_renews_everything_a_process_holds(ledger: LedgerHarness) -> None:
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


def test_a_beat_says_what_is_no_longer_ours(ledger: LedgerHarness) -> None:
    kept, taken, ended, unknown = (
        ledger.claim(ledger.add_job(account=name), "one") for name in ("a", "b", "c", "d")
    )
    ledger.finish(ended)
    ledger.release(taken, Status.QUEUED)
    ledger.claim(taken.id, "another")
    ledger.store.delete(f"hg:job:{unknown.id}")

    lost, _ = ledger.heartbeat(kept, taken, ended, unknown)

    assert sorted(lost) == sorted([taken.id, ended.id, unknown.id])


def test_a_lapsed_lease_is_not_renewed(ledger: LedgerHarness) -> None:
    claim = ledger.claim(ledger.add_job())
    ledger.pass_time(TIMES.lease)

    assert ledger.heartbeat(claim)[0] == [claim.id]
    assert ledger.status(claim.id) is Status.QUEUED


def _rings(ledger: LedgerHarness, beats: int) -> list[int]:
    """The beats, a lease apart, at which something was rung for; nobody answers."""
    rings = []
    for beat in range(beats):
        if ledger.take_messages():
            rings.append(beat)
        ledger.pass_time(TIMES.lease)
        ledger.heartbeat()
    return rings


def test_an_unclaimed_wake_up_rings_again_ever_more_slowly(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()

    assert _rings(ledger, 100) == [0, 1, 3, 7, 15, 31, 63, 95]
    assert ledger.claim(job_id)


def test_the_echoes_of_an_earlier_wait_do_not_slow_the_next_one(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    _rings(ledger, 20)
    ledger.release(ledger.claim(job_id), Status.WAITING, after_ms=SECOND)
    ledger.pass_time(SECOND)
    ledger.heartbeat()

    assert _rings(ledger, 8) == [0, 1, 3, 7]


def test_a_turn_that_comes_after_many_echoes_rings_as_soon_as_any(ledger: LedgerHarness) -> None:
    waiter = ledger.add_job()
    _rings(ledger, 20)
    until = str(ledger.record(waiter).created_ms + HOUR)
    ledger.store.hset("hg:acct:shop", mapping={"cool:dm": until, "cool_why:dm": "slow_down"})
    assert ledger.try_claim(waiter) is None
    assert ledger.status(waiter) is Status.WAITING
    ledger.take_messages()
    ledger.pass_time(HOUR)
    ledger.heartbeat()

    assert _rings(ledger, 8) == [0, 1, 3, 7]


def test_the_echoes_of_a_look_up_begin_anew_with_each_look(ledger: LedgerHarness) -> None:
    look = ledger.claim_and_send(ledger.add_job())
    ledger.release(look, Status.SENDING, charge="free")
    ledger.heartbeat()
    _rings(ledger, 20)
    ledger.release(ledger.claim(look.id), Status.SENDING, charge="free")
    ledger.take_messages()
    ledger.heartbeat()

    assert _rings(ledger, 8) == [0, 1, 3, 7]


def test_the_echoes_of_a_callback_begin_anew_with_each_attempt(ledger: LedgerHarness) -> None:
    job_in(ledger, Status.CANCELED)
    [delivery_id] = ledger.take_messages("callbacks")
    for _ in range(20):
        ledger.pass_time(TIMES.lease)
        ledger.heartbeat()
    claim = ledger.run(ledger.deliveries.claim(delivery_id, "worker"))
    assert claim is not None
    ledger.run(ledger.deliveries.record(claim, "pending", {}))
    ledger.take_messages("callbacks")

    rings = []
    for beat in range(4):
        ledger.heartbeat()
        if ledger.take_messages("callbacks"):
            rings.append(beat)
        ledger.pass_time(TIMES.lease)
    assert rings == [0, 1, 3]


@pytest.mark.parametrize("queue", ["actions", "callbacks"])
def test_a_long_queue_gets_no_echoes_and_a_lost_message_rings_when_it_is_short(
    ledger: LedgerHarness, queue: str
) -> None:
    # Given more messages than are echoed, and one that was lost
    lost = _rung_for(ledger, queue)
    assert ledger.take_messages(queue) == [lost]
    backlog = 501
    ledger.store.rpush(f"hg-mq:{queue}", *range(backlog))
    # When nobody answers for long
    for _ in range(20):
        ledger.pass_time(TIMES.lease)
        ledger.heartbeat()
        assert audit(ledger) == []
    # Then the queue has not grown; once it is shorter, the lost one rings within a lease
    assert ledger.store.llen(f"hg-mq:{queue}") == backlog
    ledger.store.delete(f"hg-mq:{queue}")
    ledger.pass_time(TIMES.lease)
    ledger.heartbeat()
    assert ledger.take_messages(queue) == [lost]


def _rung_for(ledger: LedgerHarness, queue: str) -> str:
    """What the one message of a queue is about."""
    job_id = ledger.add_job()
    if queue == "actions":
        return job_id
    assert ledger.run(ledger.core.cancel(job_id, "api:test")) == "ok"
    return str(ledger.deliveries_of(job_id)[0]["id"])


def test_a_beat_does_a_bounded_amount_and_says_that_there_is_more(ledger: LedgerHarness) -> None:
    jobs = [ledger.add_job(delay_ms=SECOND, account=f"account-{number}") for number in range(25)]
    ledger.pass_time(SECOND)

    counts = [ledger.heartbeat(most=10)[1] for _ in range(4)]

    assert counts == [10, 10, 5, 0]
    assert sorted(ledger.take_messages()) == sorted(jobs)


def test_a_beat_over_an_empty_store_notes_whose_history_it_is_and_nothing_else(
    ledger: LedgerHarness,
) -> None:
    for _ in range(2):
        assert ledger.heartbeat() == ([], 0)
    assert list(ledger.store.scan_iter()) == [b"hg:replid"]


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
def test_the_sweep_wakes_whatever_nothing_leads_to(ledger: LedgerHarness, stage: Status) -> None:
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


def test_the_sweep_wakes_a_stranded_callback(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.SUCCEEDED)
    [delivery] = ledger.deliveries_of(job_id)
    ledger.take_messages("callbacks")
    _strand(ledger.store)

    assert len(ledger.run(ledger.core.rescue_stranded())) == 1
    ledger.heartbeat()

    assert ledger.take_messages("callbacks") == [delivery["id"]]


def test_the_sweep_leaves_alone_what_is_led_to(ledger: LedgerHarness) -> None:
    for number, stage in enumerate(Status):
        job_in(ledger, stage, account=f"account-{number}")
    ledger.claim(ledger.add_job(account="busy"))
    assert ledger.try_claim(ledger.add_job(account="busy")) is None

    assert len(ledger.run(ledger.core.rescue_stranded())) == 0


def test_the_sweep_looks_at_every_page(ledger: LedgerHarness) -> None:
    jobs = ledger.add_jobs(700, apart=True)
    ledger.store.delete("hg:wakes")
    ledger.take_messages()

    assert len(ledger.run(ledger.core.rescue_stranded())) == len(jobs)
    assert sorted(ledger.take_messages()) == sorted(jobs)
    assert not ledger.store.exists("hg:sweep")


def test_a_sweep_looks_at_so_much_and_the_next_goes_on_from_there(ledger: LedgerHarness) -> None:
    queued = ledger.add_jobs(30, apart=True)
    scheduled = ledger.add_jobs(30, delay_ms=HOUR)
    ledger.store.delete("hg:wakes", "hg:due")

    found = [ledger.run(ledger.core.rescue_stranded(25)) for _ in range(3)]

    assert [len(page) for page in found] == [25, 25, 10]
    assert [each.id for page in found for each in page] == [*queued, *scheduled]
    assert ledger.run(ledger.core.rescue_stranded()) == []


def test_what_comes_and_goes_while_a_round_is_under_way_does_not_disturb_it(
    ledger: LedgerHarness,
) -> None:
    # Given a round that has stopped among jobs that end meanwhile
    first, last = ledger.add_jobs(30, apart=True), ledger.add_jobs(30, delay_ms=HOUR)
    assert ledger.run(ledger.core.rescue_stranded(20)) == []
    for job_id in first[10:]:
        ledger.run(ledger.core.cancel(job_id, "api:test"))
    ledger.add_jobs(30, apart=True, account="late")
    # When something of its rest is stranded, and something that it is past
    ledger.store.zrem("hg:due", last[-1])
    ledger.store.zrem("hg:wakes", first[0])
    # Then this round finds the one, and the next the other
    assert [each.id for each in ledger.run(ledger.core.rescue_stranded())] == [last[-1]]
    assert [each.id for each in ledger.run(ledger.core.rescue_stranded())] == [first[0]]


def test_a_sweep_that_another_release_stopped_in_a_place_of_its_own_begins_anew(
    ledger: LedgerHarness,
) -> None:
    job_id = ledger.add_job()
    ledger.store.delete("hg:wakes")
    ledger.store.set("hg:sweep", "hg:jobs:status:pondering 17")

    assert [each.id for each in ledger.run(ledger.core.rescue_stranded())] == [job_id]


def _strand(store: redis.Redis) -> None:
    """Lose every index that leads to work."""
    alarms = ["hg:due", "hg:wakes", "hg:leases", "hg:turns", "hg:expiry"]
    lists = [key for key in store.scan_iter("hg:acct:*") if store.type(key) != b"hash"]
    store.delete(*alarms, *lists)
    for key in store.scan_iter("hg:acct:*"):
        store.hdel(key, "hold")
