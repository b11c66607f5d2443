"""Invariants of the ledger between any two steps, checked directly on its keys."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any, Final

from service.jobs.consistency_check import ConsistencyCheck
from service.jobs.consistency_problems import Defect
from service.jobs.lua.hash_encoding import BLANK, PIECE
from service.jobs.model import FINAL, FOLLOWER_KINDS, TRANSITIONS, Status, rate_limit_kind
from tests.support.ledger import LedgerHarness

#: The alarms of jobs that have not ended.
ALARMS: Final = ("hg:due", "hg:wakes", "hg:leases", "hg:expiry")
_CLAIMED: Final = ("running", "sending")


def audit(ledger: LedgerHarness) -> list[str]:
    """Every violated invariant as a sentence; empty when the ledger is consistent."""
    view = _View(ledger)
    findings = [
        *_reachable(view),
        *_indexed(view),
        *_one_claim_an_account(view),
        *_callbacks(view),
        *_turns_and_queues(view),
        *_rows(view),
    ]
    reported = [str(defect) for defect in diagnosis(ledger)]
    if bool(findings) != bool(reported):
        findings.append(f"the doctor reports {reported}, unlike the invariants")
    rescued = ledger.rescue()
    return [*findings, *reported, *([f"{rescued} jobs were stranded"] if rescued else [])]


def diagnosis(ledger: LedgerHarness, *, repair: bool = False) -> list[Defect]:
    """Everything that the product's doctor finds.

    Parameters:
      ledger: The ledger.
      repair: Whether it repairs what it can.
    """

    async def examine() -> list[Defect]:
        defects = ConsistencyCheck(ledger.client, ledger.script_config).defects(repair=repair)
        return [defect async for defect in defects]

    return ledger.run(examine())


def illegal_steps(ledger: LedgerHarness, job_id: str) -> list[tuple[str, str]]:
    """The changes of status in a job's timeline that the transition table does not allow."""
    return [
        (before, after)
        for before, after in itertools.pairwise(ledger.statuses(job_id))
        if before != after and Status(after) not in TRANSITIONS[Status(before)]
    ]


class _View:
    """All keys of the ledger at one moment."""

    def __init__(self, ledger: LedgerHarness) -> None:
        names = _names(ledger)
        while True:
            with ledger.store.pipeline() as pipe:
                pipe.time()
                for name in names:
                    pipe.type(name)
                (seconds, micros), *types = pipe.execute()
                for name, kind in zip(names, types, strict=True):
                    _read(pipe, name, kind)
                values = [_plain(value) for value in pipe.execute()]
            before, names = names, _names(ledger)
            if before == names:
                break  # no key came or went meanwhile
        self.now: int = seconds * 1000 + micros // 1000
        self._values: dict[str, Any] = dict(zip(names, values, strict=True))
        jobs = self._hashes("hg:job:")
        self.jobs = {job_id: {**BLANK, **fields} for job_id, fields in jobs.items()}
        self.deliveries = self._hashes("hg:dlv:")
        self.accounts = sorted({job["account"] for job in self.jobs.values()})

    def get(self, key: str) -> Any:
        """The value of a key; empty if it does not exist."""
        return self._values.get(key, {})

    def named(self, prefix: str) -> list[str]:
        """The keys with a prefix."""
        return [name for name in self._values if name.startswith(prefix)]

    def sub_queue(self, job: dict[str, str]) -> Any:
        """The sub-queue that a job's record names, if its account lists it."""
        account, sub_queue = f"hg:acct:{job['account']}", job.get("lane", "")
        listed = sub_queue in self.get(f"{account}:lanes")
        return self.get(f"{account}:line:{sub_queue}") if listed else {}

    def queued_jobs(self, account: str) -> set[str]:
        """All jobs that wait for an account's turn."""
        names = self.named(f"hg:acct:{account}:line:")
        return {job_id for name in names for job_id in self.get(name)}

    def is_stopped(self, job: dict[str, str]) -> bool:
        """Whether a job waits for a person to resume its account or kind."""
        account = self.get(f"hg:acct:{job['account']}")
        shut = {"hold", f"pause:{rate_limit_kind(job['kind'])}"}
        return bool(self.get("hg:paused") or shut & set(account))

    def is_awake(self, account: str) -> bool:
        """Whether the account has a turn or an alarm, or is stopped until a person resumes it."""
        stopped = self.get("hg:paused") or "hold" in self.get(f"hg:acct:{account}")
        return bool(stopped or any(account in self.get(i) for i in ("hg:turns", "hg:alarms")))

    def _hashes(self, prefix: str) -> dict[str, dict[str, str]]:
        return {
            name.removeprefix(prefix): value
            for name, value in self._values.items()
            if name.startswith(prefix)
        }


def _names(ledger: LedgerHarness) -> list[str]:
    return sorted(key.decode() for key in set(ledger.store.scan_iter("hg:*", count=1000)))


def _read(pipe: Any, name: str, kind: bytes) -> None:
    if kind == b"hash":
        pipe.hgetall(name)
    elif kind == b"zset":
        pipe.zrange(name, 0, -1, withscores=True)
    elif kind == b"string":
        pipe.get(name)
    elif kind == b"set":
        pipe.smembers(name)
    else:
        pipe.type(name)


def _plain(value: Any) -> Any:
    if value is None:
        return None  # deleted since its type was read: all keys are read again
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list):
        return {member.decode("utf-8", "replace"): score for member, score in value}
    if isinstance(value, set):
        return {member.decode() for member in value}
    return {name.decode(): text.decode() for name, text in value.items()}


def _ended(job: dict[str, str]) -> bool:
    return Status(job["status"]) in FINAL


def _reachable(view: _View) -> Iterator[str]:
    for job_id, job in view.jobs.items():
        account = f"hg:acct:{job['account']}"
        leads = any(job_id in view.get(index) for index in ("hg:due", "hg:wakes", "hg:leases"))
        in_line = job_id in view.sub_queue(job) and view.is_awake(job["account"])
        held = job_id in view.get(f"{account}:held:{job['kind']}") and view.is_stopped(job)
        if not _ended(job) and not (leads or in_line or held):
            yield f"nothing leads to {job['status']} {job_id}"
        if _ended(job):
            yield from (f"{job_id} ended and is in {i}" for i in ALARMS if job_id in view.get(i))
    for delivery_id, delivery in view.deliveries.items():
        leads = any(delivery_id in view.get(index) for index in ("hg:due", "hg:wakes", "hg:leases"))
        if leads != (delivery["status"] in ("pending", "delivering")):
            yield f"{delivery['status']} {delivery_id} is reachable: {leads}"


def _indexed(view: _View) -> Iterator[str]:
    for job_id, job in view.jobs.items():
        for status in Status:
            listed = view.get(f"hg:jobs:status:{status}").get(job_id)
            if listed != (float(job["seq"]) if status == job["status"] else None):
                yield f"{job_id} is {job['status']} and the index of {status} says {listed}"
        for index in _found_by(job):
            if job_id not in view.get(index):
                yield f"{job_id} is not in {index}"
        leased = job_id in view.get("hg:leases")
        if leased != (job["status"] in _CLAIMED and job["owner"] != ""):
            yield f"{job['status']} {job_id} of {job['owner']!r} has a lease: {leased}"
    for delivery_id, delivery in view.deliveries.items():
        for each in ("pending", "delivering", "delivered", "failed"):
            if (delivery_id in view.get(f"hg:dlvs:status:{each}")) != (each == delivery["status"]):
                yield f"{delivery_id} is {delivery['status']} and wrong in the index of {each}"


def _found_by(job: dict[str, str]) -> Iterator[str]:
    """The indexes that a job never leaves, and that of its error's code."""
    yield from ("hg:jobs", f"hg:jobs:account:{job['account']}", f"hg:jobs:kind:{job['kind']}")
    source, error = (json.loads(_whole(job, name) or "{}") for name in ("source", "error"))
    labels = {"rule": source.get("rule"), "source": source.get("source"), "code": error.get("code")}
    yield from (f"hg:jobs:{name}:{label}" for name, label in labels.items() if label)


def _whole(job: dict[str, str], name: str) -> str:
    """The text of a field that may be stored in pieces."""
    pieces = [job[name]]
    while len(pieces[-1]) == PIECE:
        pieces.append(job.get(f"{name}:{len(pieces) + 1}", ""))
    return "".join(pieces)


def _one_claim_an_account(view: _View) -> Iterator[str]:
    for account in view.accounts:
        live = [
            job_id
            for job_id, job in view.jobs.items()
            if job["account"] == account
            and job["status"] in _CLAIMED
            and int(job["lease"]) > view.now
        ]
        if len(live) > 1:
            yield f"{account} has several live claims: {live}"
        if live and view.get(f"hg:acct:{account}:turn") != live[0]:
            yield f"{live[0]} works without the turn of {account}"


def _callbacks(view: _View) -> Iterator[str]:
    for job_id, job in view.jobs.items():
        runs = int(job["run"]) if _ended(job) else int(job["run"]) - 1
        expected = list(range(1, runs + 1)) if job["callback"] else []
        opened = sorted(int(dlv["run"]) for dlv in view.deliveries.values() if dlv["job"] == job_id)
        if opened != expected:
            yield f"{job['status']} {job_id} of run {job['run']} has deliveries for runs {opened}"


def _turns_and_queues(view: _View) -> Iterator[str]:
    for account in view.accounts:
        holder = view.get(f"hg:acct:{account}:turn")
        waiting = view.queued_jobs(account)
        if bool(holder) != (account in view.get("hg:turns")):
            yield f"the turn of {account} is {holder!r} and has no end, or the other way round"
        if holder and (holder not in view.jobs or _ended(view.jobs[holder])):
            yield f"{account}'s turn is held by {holder}, which has ended"
        if waiting and not holder and not view.is_awake(account):
            yield f"{account} has waiters, and neither a turn nor an alarm"
        yield from _misplaced(view, account)


def _misplaced(view: _View, account: str) -> Iterator[str]:
    """Jobs that are in a sub-queue other than their own."""
    prefix = f"hg:acct:{account}:line:"
    for sub_queue in (name.removeprefix(prefix) for name in view.named(prefix)):
        for job_id in view.get(prefix + sub_queue):
            job = view.jobs[job_id]
            if job["status"] not in ("waiting", "sending") or job["lane"] != sub_queue:
                yield f"{job['status']} {job_id} of sub-queue {job['lane']!r} is in {sub_queue}"


def _rows(view: _View) -> Iterator[str]:
    """Every export has each row once, and as many rows as its record says."""
    exports = {job_id: job for job_id, job in view.jobs.items() if job["kind"] in FOLLOWER_KINDS}
    for name in (*view.named("hg:rows:"), *view.named("hg:walked:")):
        if name.rpartition(":")[2] not in exports:
            yield f"{name} belongs to no export"
    for job_id, job in exports.items():
        walked = len(view.get(f"hg:walked:{job_id}"))
        if not _ended(job) and walked != int(job["users"]):
            yield f"{job_id} has found {job['users']} and remembers {walked}"
