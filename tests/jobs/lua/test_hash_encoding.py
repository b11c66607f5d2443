"""Stored records: no blank fields, long values in pieces, and records of older releases."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest
import redis

from service.jobs.lua.hash_encoding import BLANK, MOST_PIECES, PIECE, fields_of
from service.jobs.model import Status
from tests.support.invariants import audit
from tests.support.job_states import job_in
from tests.support.ledger import SECOND, TIMES, LedgerHarness
from tests.support.lua import evaluate, run_lua

LENGTHS = (
    *(1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 5),
    *(MOST_PIECES * PIECE - 1, MOST_PIECES * PIECE, 40 * PIECE),
)


def _hash(ledger: LedgerHarness, job_id: str) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = ledger.store.hgetall(f"hg:job:{job_id}")  # type: ignore[assignment]
    return found


def _metadata(length: int) -> dict[str, str]:
    """Metadata of this length in bytes as JSON, of two-byte characters."""
    space = length - len('{"":""}')
    return {"": "é" * (space // 2) + "x" * (space % 2)}


@pytest.mark.parametrize("length", [length for length in LENGTHS if length > len('{"":""}')])
def test_a_value_of_any_length_is_read_unchanged(ledger: LedgerHarness, length: int) -> None:
    metadata = _metadata(length)
    job_id = ledger.add_job(metadata=metadata)

    assert len(fields_of(_hash(ledger, job_id))["metadata"].encode()) == length
    assert ledger.record(job_id).metadata == metadata
    assert ledger.finish(ledger.claim_and_send(job_id))
    assert ledger.deliveries_of(job_id)[0]["payload"]["data"]["metadata"] == metadata
    stored = _hash(ledger, job_id)
    longest = max(len(value) for value in stored.values())
    assert (longest <= PIECE) == (length < MOST_PIECES * PIECE)


_SET_TWICE = """
for _, value in ipairs({ARGV[1], ARGV[2]}) do
  set_fields(load_job('j') or read_job('j', {}), {v = '2', result = value})
end
return load_job('j').result
"""


def test_a_shorter_value_replaces_a_longer_one_completely(store: redis.Redis) -> None:
    for before, after in product(LENGTHS, (0, *LENGTHS)):
        store.flushdb()
        read = run_lua(store, _SET_TWICE, "a" * before, "b" * after)
        raw: Any = store.hgetall("hg:job:j")
        assert read == fields_of(raw)["result"].encode() == b"b" * after
        assert after or raw == {b"v": b"2"}


@pytest.mark.parametrize("status", Status)
def test_blank_fields_are_not_stored(ledger: LedgerHarness, status: Status) -> None:
    stored = _hash(ledger, job_in(ledger, status))

    assert [
        name for name, value in stored.items() if BLANK.get(name.decode()) == value.decode()
    ] == []


def test_an_ended_job_fits_into_one_block(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.SUCCEEDED, metadata={"note": "n" * 200})

    for key in (f"hg:job:{job_id}", f"hg:dlv:{ledger.deliveries_of(job_id)[0]['id']}"):
        assert ledger.store.object("encoding", key) == b"listpack"


# -- records of the previous release


def _as_previous_release(ledger: LedgerHarness, job_id: str) -> None:
    """Rewrite a job, its timeline and its deliveries as the previous release stored them."""
    store, key = ledger.store, f"hg:job:{job_id}"
    fields = {**fields_of(_hash(ledger, job_id)), "v": "1"}
    deliveries = ledger.run(ledger.deliveries.of_job(job_id, int(fields["run"])))
    payloads = [ledger.delivery(shown["id"]) for shown in deliveries]
    store.delete(key)
    for name, value in fields.items():
        store.hset(key, name, value)
    _as_json(store, f"hg:jobtl:{job_id}")
    for shown in payloads:
        store.hset(f"hg:dlv:{shown['id']}", "v", "1")
        store.hset(f"hg:dlv:{shown['id']}", "payload", json.dumps(shown["payload"]))
        store.delete(f"hg:payload:{shown['id']}")
        if shown["ended_at"]:
            until: Any = store.zscore("hg:retention", job_id)
            store.zadd("hg:retention", {shown["id"]: until})


def _as_json(store: redis.Redis, key: str) -> None:
    lines: Any = store.lrange(key, 0, -1)
    for position, line in enumerate(lines):
        if not line.startswith(b"["):
            store.lset(key, position, json.dumps(line.decode().split("\t", 3)))


@pytest.mark.parametrize("status", Status)
def test_a_record_of_the_previous_release_is_read_unchanged(
    ledger: LedgerHarness, status: Status
) -> None:
    job_id = job_in(ledger, status, metadata={"note": "n" * 200})
    shown, statuses, deliveries = (
        ledger.api_job(job_id),
        ledger.statuses(job_id),
        ledger.deliveries_of(job_id),
    )

    _as_previous_release(ledger, job_id)

    assert ledger.api_job(job_id) | {"wait": None} == shown | {"wait": None}
    assert (ledger.statuses(job_id), ledger.deliveries_of(job_id)) == (statuses, deliveries)
    assert audit(ledger) == []


def test_a_job_of_the_previous_release_finishes_and_is_pruned(
    ledger: LedgerHarness,
) -> None:
    # Given a job and a callback that are under way during an upgrade
    job_id = job_in(ledger, Status.RUNNING)
    _as_previous_release(ledger, job_id)
    claim = ledger.claim(job_id)
    assert ledger.record_intent(claim) == "ok"
    _as_previous_release(ledger, job_id)
    assert ledger.finish(claim, Status.FAILED)
    _as_previous_release(ledger, job_id)
    # When they continue
    _deliver(ledger)
    _as_previous_release(ledger, job_id)
    assert ledger.run(ledger.core.retry(job_id, "api:test")) == "ok"
    assert ledger.finish(ledger.claim_and_send(job_id))
    _deliver(ledger)
    # Then both callbacks are shown unchanged, and everything is pruned when due
    assert [delivery["payload"]["type"] for delivery in ledger.deliveries_of(job_id)] == [
        "job.failed",
        "job.succeeded",
    ]
    assert (audit(ledger), ledger.statuses(job_id)[-1]) == ([], "succeeded")
    ledger.pass_time(TIMES.keep + SECOND)
    ledger.run(ledger.core.prune())
    remaining = [key for key in ledger.store.scan_iter() if job_id[4:].encode() in key]
    assert (remaining, ledger.store.zcard("hg:retention")) == ([], 0)


def _deliver(ledger: LedgerHarness) -> None:
    for delivery_id in ledger.take_messages("callbacks"):
        claim = ledger.run(ledger.deliveries.claim(delivery_id, "worker"))
        assert claim is not None
        assert json.loads(claim.payload)["type"].startswith("job.")
        assert ledger.run(ledger.deliveries.record(claim, "delivered", {"status": 204}))


# -- ended work takes less


def test_a_delivered_payload_is_built_from_its_job_until_another_run(
    ledger: LedgerHarness,
) -> None:
    job_id = job_in(ledger, Status.FAILED)
    [sent] = ledger.deliveries_of(job_id)
    _deliver(ledger)

    assert ledger.store.exists(f"hg:payload:{sent['id']}") == 0
    assert ledger.deliveries_of(job_id)[0]["payload"] == sent["payload"]
    assert ledger.run(ledger.core.retry(job_id, "api:test")) == "ok"
    assert ledger.deliveries_of(job_id)[0]["payload"] == sent["payload"]
    assert ledger.finish(ledger.claim_and_send(job_id))
    _deliver(ledger)
    first, second = ledger.deliveries_of(job_id)
    assert first["payload"] == sent["payload"]
    assert second["payload"]["data"]["status"] == "succeeded"


def test_the_rebuilt_payload_equals_the_one_sent(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.UNCERTAIN, metadata={"order": "é / \\"})
    [delivery_id] = ledger.take_messages("callbacks")
    claim = ledger.run(ledger.deliveries.claim(delivery_id, "worker"))
    assert claim is not None

    assert evaluate(ledger.store, "job_payload(load_job(ARGV[1]))", job_id) == claim.payload


def test_a_delivery_outlives_its_job_only_until_it_ends(ledger: LedgerHarness) -> None:
    job_id = job_in(ledger, Status.SUCCEEDED)
    [delivery_id] = ledger.take_messages("callbacks")
    ledger.pass_time(TIMES.keep + SECOND)
    ledger.run(ledger.core.prune())
    claim = ledger.run(ledger.deliveries.claim(delivery_id, "worker"))
    assert claim is not None
    assert ledger.run(ledger.deliveries.record(claim, "delivered", {"status": 204}))

    assert ledger.run(ledger.queries.job(job_id)) is None
    assert ledger.delivery(delivery_id)["payload"]["data"]["job_id"] == job_id
    ledger.pass_time(TIMES.keep + SECOND)
    ledger.run(ledger.core.prune())
    assert list(ledger.store.scan_iter("hg:*dlv*:*", count=1000)) == []


@pytest.mark.parametrize("status", Status)
def test_a_text_is_kept_as_long_as_it_may_be_sent(ledger: LedgerHarness, status: Status) -> None:
    job_id = job_in(ledger, status)

    unneeded = status in (Status.SUCCEEDED, Status.CANCELED, Status.EXPIRED)
    assert ledger.store.exists(f"hg:jobtext:{job_id}") == (not unneeded)
