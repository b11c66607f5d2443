"""Fills a store as months of work would: every record is a copy of a real one under new ids.

A few jobs are brought to their states by the ledger's own scripts (`typical.py`); what each of
them has left in an empty store is then multiplied (`record_templates.py`).
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import redis

from service.jobs.account_effect import AccountEffect
from service.jobs.model import Status
from tests.bench.record_templates import FIRST_SEQ, Clone, RecordTemplate, encoded
from tests.bench.typical_dm import TIMES, TypicalDms, event_id, opened_shop, pk_of
from tests.support.ledger import DAY

#: How many accounts have jobs; one of them has a tenth of all.
ACCOUNTS: Final = 200
BUSY: Final = "account-all"
#: The fewest jobs of each sort, so that each list has more than a page.
LEAST: Final = 60
#: What jobs of one sort have as metadata.
METADATA: Final = {"campaign": "spring"}
#: The age of the oldest job.
_SPAN_MS: Final = 38 * DAY
_CHUNK: Final = 2_000

Maker = Callable[[TypicalDms, str], Awaitable[str]]


async def _succeeded(shop: TypicalDms, account: str, **changes: Any) -> str:
    job_id = await shop.accept(0, account=account, **changes)
    claim = await shop.claim(job_id, 0)
    await shop.intend(claim, 0)
    await shop.finish(claim, 0)
    await shop.deliver(job_id, 0)
    return job_id


async def _commented(shop: TypicalDms, account: str) -> str:
    return await _succeeded(shop, account, kind="comment", to=None, post="CxyZabcDEfg")


async def _failed(shop: TypicalDms, account: str) -> str:
    # No rule gives a job metadata, but callers do.
    job_id = await shop.accept(0, account=account, metadata=METADATA)
    claim = await shop.claim(job_id, 0)
    await shop.intend(claim, 0)
    await shop.finish(claim, 0, Status.FAILED)
    await shop.deliver(job_id, 0)
    return job_id


async def _owing(shop: TypicalDms, account: str) -> str:
    job_id = await shop.accept(0, account=account)
    claim = await shop.claim(job_id, 0)
    await shop.intend(claim, 0)
    await shop.finish(claim, 0)
    await shop.deliver(job_id, 0, "pending")
    return job_id


async def _canceled(shop: TypicalDms, account: str) -> str:
    job_id = await shop.accept(0, account=account, callback=None)
    assert await shop.ledger.cancel(job_id, "api:bench") == "ok"
    return job_id


async def _scheduled(shop: TypicalDms, account: str) -> str:
    return await shop.accept(0, account=account, delay_ms=60 * DAY, expires_ms=90 * DAY)


async def _waiting(shop: TypicalDms, account: str) -> str:
    job_id = await shop.accept(0, account=account)
    rest = AccountEffect(cooldown="please_wait", cooldown_ms=30 * DAY)
    await shop.claims.release(await shop.claim(job_id, 0), Status.WAITING, "wait", effect=rest)
    return job_id


async def _held(shop: TypicalDms, account: str) -> str:
    await shop.controls.pause(account)
    return await shop.accept(0, account=account)


@dataclass(frozen=True)
class Sort:
    """One sort of job in the store.

    Parameters:
      share: Its share of all jobs.
      make: Brings a job to this state.
      accounts: Their accounts; an account in cooldown or paused has no other sort.
    """

    share: float
    make: Maker
    accounts: str = "account"

    def account(self, number: int) -> str:
        """The account of a job; all names have the same length."""
        if self.accounts == "account" and number % 10 == 0:
            return BUSY
        return f"{self.accounts}-{number % ACCOUNTS:03}"


SORTS: Final[Mapping[str, Sort]] = {
    "succeeded": Sort(0.80, _succeeded),
    "commented": Sort(0.10, _commented),
    "failed": Sort(0.03, _failed),
    "canceled": Sort(0.015, _canceled),
    "owing": Sort(0.001, _owing),
    "scheduled": Sort(0.045, _scheduled),
    "waiting": Sort(0.007, _waiting, "resting"),
    "held": Sort(0.002, _held, "stopped"),
}


def fill(url: str, jobs: int) -> Mapping[str, int]:
    """Fill an empty store.

    Parameters:
      url: The store.
      jobs: How many jobs, at least LEAST of each sort.

    Returns:
      How many there are of each sort.
    """
    counts = {name: max(LEAST, round(sort.share * jobs)) for name, sort in SORTS.items()}
    counts["succeeded"] += jobs - sum(counts.values())
    with redis.Redis.from_url(url) as store:
        templates = {name: _template(url, store, name) for name in SORTS}
        store.flushdb()
        for template in templates.values():
            template.bring(store)
        _send(store, _all_commands(store, templates, counts))
        store.set("hg:seq", FIRST_SEQ + 3 * jobs)
        store.delete(*(key for template in templates.values() for key in template.brought()))
    return counts


def _template(url: str, store: redis.Redis, name: str) -> RecordTemplate:
    store.flushdb()
    account = SORTS[name].account(1)
    with opened_shop(url) as (shop, runner):
        job_id = runner.run(cast("Any", SORTS[name].make(shop, account)))
    return RecordTemplate.of(
        store, name, job=job_id, event=event_id(0), account=account, pk=str(pk_of(0))
    )


def _all_commands(
    store: redis.Redis, templates: Mapping[str, RecordTemplate], counts: Mapping[str, int]
) -> Iterator[bytes]:
    """Yield a part of each sort at a time, so that the sorts are mixed in time."""
    seconds, _ = store.time()
    begin_ms, jobs = seconds * 1000 - _SPAN_MS, sum(counts.values())
    chunks = max(LEAST, jobs // _CHUNK)
    apart_ms, made = _SPAN_MS // jobs, 0
    for chunk in range(chunks):
        for name, count in counts.items():
            template, sort = templates[name], SORTS[name]
            clones = []
            for number in range(count * chunk // chunks, count * (chunk + 1) // chunks):
                at_ms = begin_ms + made * apart_ms
                made += 1
                clones.append(_clone(sort, name, number, FIRST_SEQ + 3 * made, at_ms))
            recent = begin_ms + made * apart_ms > seconds * 1000 - TIMES.keep_bodies
            yield b"".join(template.commands(clones, recent=recent))
    for name, template in templates.items():
        accounts = {SORTS[name].account(number) for number in range(min(counts[name], ACCOUNTS))}
        yield b"".join(template.accounts(sorted(accounts)))


def _clone(sort: Sort, name: str, number: int, seq: int, at_ms: int) -> Clone:
    mark = hashlib.sha1(f"{name}{number}".encode(), usedforsecurity=False).hexdigest()
    return Clone(
        mark[:26],
        f"evt_{mark[:20]}",
        mark,
        sort.account(number),
        str(pk_of(seq)),
        seq,
        at_ms,
        number,
    )


def _send(store: redis.Redis, batches: Iterator[bytes]) -> None:
    """Write commands to the server's socket as fast as it reads, counting only errors."""
    refused = store.info("stats")["total_error_replies"]
    options = store.get_connection_kwargs()
    with socket.create_connection((options["host"], options["port"])) as connection:
        connection.sendall(encoded("CLIENT", "REPLY", "OFF"))
        for batch in batches:
            connection.sendall(batch)
        connection.sendall(encoded("CLIENT", "REPLY", "ON"))
        connection.recv(100)
    if store.info("stats")["total_error_replies"] != refused:
        raise RuntimeError(f"the store refused commands: {store.info('errorstats')}")
