"""The beat: renews what a process holds in one call, and rings for what is due to anybody."""

from __future__ import annotations

import pytest
import redis

from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.job_stages import job_in
from tests.support.ledgers import HOUR, SECOND, TIMES, Books


def test_one_beat_renews_everything_a_process_holds(books: Books) -> None:
    claims = [books.claim(books.job(account=f"account-{number}")) for number in range(50)]
    for _ in range(5):
        books.pass_time(TIMES.lease // 2)
        lost, _ = books.tick(*claims)
        assert lost == []

    assert all(books.intend(claim) == "ok" for claim in claims)
    assert audit(books) == []


def test_a_renewed_claim_keeps_its_accounts_turn(books: Books) -> None:
    holder = books.claim(books.job())
    waiter = books.job()
    for _ in range(5):
        books.pass_time(TIMES.lease // 2)
        books.tick(holder)
        assert books.try_claim(waiter) is None

    assert books.turn() == holder.id


def test_a_beat_says_what_is_no_longer_ours(books: Books) -> None:
    kept, taken, ended, unknown = (
        books.claim(books.job(account=name), "one") for name in ("a", "b", "c", "d")
    )
    books.finish(ended)
    books.release(taken, Status.QUEUED)
    books.claim(taken.id, "another")
    books.store.delete(f"hg:job:{unknown.id}")

    lost, _ = books.tick(kept, taken, ended, unknown)

    assert sorted(lost) == sorted([taken.id, ended.id, unknown.id])


def test_a_lapsed_lease_is_not_renewed(books: Books) -> None:
    claim = books.claim(books.job())
    books.pass_time(TIMES.lease)

    assert books.tick(claim)[0] == [claim.id]
    assert books.status(claim.id) is Status.QUEUED


def _rings(books: Books, beats: int) -> list[int]:
    """The beats, a lease apart, at which something was rung for; nobody answers."""
    rings = []
    for beat in range(beats):
        if books.wakeups():
            rings.append(beat)
        books.pass_time(TIMES.lease)
        books.tick()
    return rings


def test_an_unclaimed_wake_up_rings_again_ever_more_slowly(books: Books) -> None:
    job_id = books.job()

    assert _rings(books, 100) == [0, 1, 3, 7, 15, 31, 63, 95]
    assert books.claim(job_id)


def test_the_echoes_of_an_earlier_wait_do_not_slow_the_next_one(books: Books) -> None:
    job_id = books.job()
    _rings(books, 20)
    books.release(books.claim(job_id), Status.WAITING, after_ms=SECOND)
    books.pass_time(SECOND)
    books.tick()

    assert _rings(books, 8) == [0, 1, 3, 7]


def test_a_turn_that_comes_after_many_echoes_rings_as_soon_as_any(books: Books) -> None:
    waiter = books.job()
    _rings(books, 20)
    until = str(books.record(waiter).created_ms + HOUR)
    books.store.hset("hg:acct:shop", mapping={"cool:dm": until, "cool_why:dm": "slow_down"})
    assert books.try_claim(waiter) is None
    assert books.status(waiter) is Status.WAITING
    books.wakeups()
    books.pass_time(HOUR)
    books.tick()

    assert _rings(books, 8) == [0, 1, 3, 7]


def test_the_echoes_of_a_look_up_begin_anew_with_each_look(books: Books) -> None:
    look = books.sending(books.job())
    books.release(look, Status.SENDING, charge="free")
    books.tick()
    _rings(books, 20)
    books.release(books.claim(look.id), Status.SENDING, charge="free")
    books.wakeups()
    books.tick()

    assert _rings(books, 8) == [0, 1, 3, 7]


def test_the_echoes_of_a_callback_begin_anew_with_each_attempt(books: Books) -> None:
    job_in(books, Status.CANCELED)
    [delivery_id] = books.wakeups("callbacks")
    for _ in range(20):
        books.pass_time(TIMES.lease)
        books.tick()
    claim = books.run(books.deliveries.claim(delivery_id, "worker"))
    assert claim is not None
    books.run(books.deliveries.record(claim, "pending", {}))
    books.wakeups("callbacks")

    rings = []
    for beat in range(4):
        books.tick()
        if books.wakeups("callbacks"):
            rings.append(beat)
        books.pass_time(TIMES.lease)
    assert rings == [0, 1, 3]


@pytest.mark.parametrize("queue", ["actions", "callbacks"])
def test_a_long_queue_gets_no_echoes_and_a_lost_message_rings_when_it_is_short(
    books: Books, queue: str
) -> None:
    # Given more messages than are echoed, and one that was lost
    lost = _rung_for(books, queue)
    assert books.wakeups(queue) == [lost]
    backlog = 501
    books.store.rpush(f"hg-mq:{queue}", *range(backlog))
    # When nobody answers for long
    for _ in range(20):
        books.pass_time(TIMES.lease)
        books.tick()
        assert audit(books) == []
    # Then the queue has not grown; once it is shorter, the lost one rings within a lease
    assert books.store.llen(f"hg-mq:{queue}") == backlog
    books.store.delete(f"hg-mq:{queue}")
    books.pass_time(TIMES.lease)
    books.tick()
    assert books.wakeups(queue) == [lost]


def _rung_for(books: Books, queue: str) -> str:
    """What the one message of a queue is about."""
    job_id = books.job()
    if queue == "actions":
        return job_id
    assert books.run(books.ledger.cancel(job_id, "api:test")) == "ok"
    return str(books.owed(job_id)[0]["id"])


def test_a_beat_does_a_bounded_amount_and_says_that_there_is_more(books: Books) -> None:
    jobs = [books.job(delay_ms=SECOND, account=f"account-{number}") for number in range(25)]
    books.pass_time(SECOND)

    counts = [books.tick(most=10)[1] for _ in range(4)]

    assert counts == [10, 10, 5, 0]
    assert sorted(books.wakeups()) == sorted(jobs)


def test_a_beat_over_an_empty_store_notes_whose_history_it_is_and_nothing_else(
    books: Books,
) -> None:
    for _ in range(2):
        assert books.tick() == ([], 0)
    assert list(books.store.scan_iter()) == [b"hg:replid"]


def test_claims_of_another_process_are_left_alone(books: Books) -> None:
    claim = books.claim(books.job(), "theirs")
    books.pass_time(TIMES.lease - SECOND)

    books.tick()

    assert books.intend(claim) == "ok"


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
def test_the_sweep_wakes_whatever_nothing_leads_to(books: Books, stage: Status) -> None:
    job_id = job_in(books, stage)
    books.wakeups()
    books.pass_time(2 * HOUR)
    _strand(books.store)

    assert len(books.run(books.ledger.rescue_stranded())) == 1
    for _ in range(2):
        books.tick()

    assert books.wakeups() == [job_id]
    assert books.claim(job_id).verify_first == (stage is Status.SENDING)
    assert len(books.run(books.ledger.rescue_stranded())) == 0


def test_the_sweep_wakes_a_stranded_callback(books: Books) -> None:
    job_id = job_in(books, Status.SUCCEEDED)
    [delivery] = books.owed(job_id)
    books.wakeups("callbacks")
    _strand(books.store)

    assert len(books.run(books.ledger.rescue_stranded())) == 1
    books.tick()

    assert books.wakeups("callbacks") == [delivery["id"]]


def test_the_sweep_leaves_alone_what_is_led_to(books: Books) -> None:
    for number, stage in enumerate(Status):
        job_in(books, stage, account=f"account-{number}")
    books.claim(books.job(account="busy"))
    assert books.try_claim(books.job(account="busy")) is None

    assert len(books.run(books.ledger.rescue_stranded())) == 0


def test_the_sweep_looks_at_every_page(books: Books) -> None:
    jobs = books.many(700, apart=True)
    books.store.delete("hg:wakes")
    books.wakeups()

    assert len(books.run(books.ledger.rescue_stranded())) == len(jobs)
    assert sorted(books.wakeups()) == sorted(jobs)
    assert not books.store.exists("hg:sweep")


def test_a_sweep_looks_at_so_much_and_the_next_goes_on_from_there(books: Books) -> None:
    queued = books.many(30, apart=True)
    scheduled = books.many(30, delay_ms=HOUR)
    books.store.delete("hg:wakes", "hg:due")

    found = [books.run(books.ledger.rescue_stranded(25)) for _ in range(3)]

    assert [len(page) for page in found] == [25, 25, 10]
    assert [each.id for page in found for each in page] == [*queued, *scheduled]
    assert books.run(books.ledger.rescue_stranded()) == []


def test_what_comes_and_goes_while_a_round_is_under_way_does_not_disturb_it(books: Books) -> None:
    # Given a round that has stopped among jobs that end meanwhile
    first, last = books.many(30, apart=True), books.many(30, delay_ms=HOUR)
    assert books.run(books.ledger.rescue_stranded(20)) == []
    for job_id in first[10:]:
        books.run(books.ledger.cancel(job_id, "api:test"))
    books.many(30, apart=True, account="late")
    # When something of its rest is stranded, and something that it is past
    books.store.zrem("hg:due", last[-1])
    books.store.zrem("hg:wakes", first[0])
    # Then this round finds the one, and the next the other
    assert [each.id for each in books.run(books.ledger.rescue_stranded())] == [last[-1]]
    assert [each.id for each in books.run(books.ledger.rescue_stranded())] == [first[0]]


def test_a_sweep_that_another_release_stopped_in_a_place_of_its_own_begins_anew(
    books: Books,
) -> None:
    job_id = books.job()
    books.store.delete("hg:wakes")
    books.store.set("hg:sweep", "hg:jobs:status:pondering 17")

    assert [each.id for each in books.run(books.ledger.rescue_stranded())] == [job_id]


def _strand(store: redis.Redis) -> None:
    """Lose every index that leads to work."""
    alarms = ["hg:due", "hg:wakes", "hg:leases", "hg:turns", "hg:expiry"]
    lists = [key for key in store.scan_iter("hg:acct:*") if store.type(key) != b"hash"]
    store.delete(*alarms, *lists)
    for key in store.scan_iter("hg:acct:*"):
        store.hdel(key, "hold")
