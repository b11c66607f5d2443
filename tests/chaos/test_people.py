"""A person is erased from a large store: nothing of them is left in any key, nor in the file that
Redis would restart from. 3,000 jobs in a test run, 100,000 in `make chaos`.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any, Final

from deploy.local.valkey import Valkey
from deploy.local.wait import until
from service.accounts.suppressions import Suppressions
from service.accounts.user_id_cache import UserIdCache
from service.jobs.model import JobDraft, Status
from tests.support.follower_rows import add_export, append_page
from tests.support.invariants import diagnosis
from tests.support.ledger import PERSON_KEYS, Event, LedgerHarness, draft, open_ledger
from tests.support.people import complete_index, erase, show
from tests.support.person_search import keys_about

JOBS: Final = int(os.environ.get("CHAOS_JOBS", "3000"))
HANDLE, PK, NAME = "jenny.rosen", "3141592653589", "Jenny Rosenqvist"
WORDS: Final = (HANDLE, PK, NAME, "Rosenqvist")
#: Events accepted at once.
_AT_ONCE: Final = 1_000


def _draft(number: int, **changes: Any) -> JobDraft:
    usual: dict[str, Any] = {
        "account": f"account-{number % 50}",
        "to": f"user.{number}",
        "text": f"Hi {number}",
    }
    return draft(**usual | changes)


def _fill(ledger: LedgerHarness) -> None:
    """Accept an event and a job for each of many others."""

    async def accept(number: int) -> None:
        await ledger.core.accept(
            "stripe", Event(f"evt_{number}"), [_draft(number)], body=b'{"customer": %d}' % number
        )

    async def accept_all() -> None:
        for first in range(0, JOBS, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, JOBS))
            await asyncio.gather(*map(accept, numbers))

    ledger.run(accept_all())


def _add_person(ledger: LedgerHarness) -> list[str]:
    """Give the person jobs in many states, caches and a do-not-contact entry; the ids of the jobs
    that were sent.
    """
    body = f'{{"name": "{NAME}", "instagram": "@{HANDLE.upper()}"}}'.encode()
    sent = []
    for number, status in enumerate((Status.SUCCEEDED, Status.FAILED, Status.UNCERTAIN)):
        wanted = _draft(0, account=f"own-{number}", to=HANDLE, text=f"Thanks, {NAME}!")
        wanted = wanted._replace(metadata={"name": NAME})
        [job_id] = ledger.accept(Event(f"evt_own_{number}"), wanted, body=body).jobs
        claim = ledger.claim(job_id)
        assert ledger.record_intent(claim, pk=PK) == "ok"
        assert ledger.finish(claim, status)
        sent.append(job_id)
    unsent: tuple[dict[str, Any], ...] = (
        {"delay_ms": 60_000},
        {},
        {"to": PK},
        {"kind": "comment", "to": None, "post": "CxyZabcDEfg", "text": f"Thanks @{HANDLE}"},
    )
    for number, changes in enumerate(unsent):
        usual: dict[str, Any] = {"account": "own-9", "to": HANDLE, "text": f"To {NAME}"}
        ledger.accept(Event(f"evt_unsent_{number}"), _draft(0, **usual | changes), body=body)
    ledger.run(
        UserIdCache(ledger.client, PERSON_KEYS).remember(HANDLE, PK, HANDLE, account="own-0")
    )
    ledger.run(
        Suppressions(ledger.client, PERSON_KEYS).put(HANDLE, account=None, reason=NAME, by="a")
    )
    export = add_export(ledger, to="somebody.else", account="own-8")
    append_page(ledger, ledger.claim(export), cursor="0")
    row = {"pk": PK, "username": HANDLE, "full_name": NAME}
    append_page(ledger, ledger.claim(export), [{"pk": "1", "username": "other"}, row])
    return sent


def _rewritten_file(ledger: LedgerHarness, directory: Path) -> bytes:
    """What Redis has written of its data, once it has written all of it anew."""
    ledger.store.bgrewriteaof()

    def is_done() -> bool:
        facts: Any = ledger.store.info("persistence")
        return not facts["aof_rewrite_in_progress"] and not facts["aof_rewrite_scheduled"]

    until(is_done, 60)
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


def test_nothing_of_a_person_is_left_in_a_large_store(tmp_path: Path) -> None:
    with Valkey(tmp_path / "valkey") as valkey, open_ledger(valkey.url) as ledger:
        # Given a large store, in which a person is in many places
        ledger.store.config_set("appendfsync", "no")  # or each of the many steps waits for a disk
        _fill(ledger)
        sent = _add_person(ledger)
        assert len(keys_about(ledger.store, *WORDS)) > 10
        assert complete_index(ledger) == 0
        assert len(show(ledger, HANDLE)["items"]) == 7

        # When
        began = time.perf_counter()
        erased = erase(ledger, HANDLE)
        seconds = time.perf_counter() - began

        # Then it was one call, and short
        assert (erased.jobs, erased.rows, erased.done) == (7, 1, True)
        assert seconds < 5
        # And nothing is found, in any key or in the file
        assert keys_about(ledger.store, *WORDS) == []
        written = _rewritten_file(ledger, tmp_path / "valkey").lower()
        assert [word for word in WORDS if word.lower().encode() in written] == []
        assert b"user.7" in written  # the file is what it is taken for
        # And the same events make no second DM, and nothing is broken
        for number, job_id in enumerate(sent):
            again = ledger.accept(Event(f"evt_own_{number}"), _draft(0, to=HANDLE), body=b"{}")
            assert (again.outcome, again.jobs) == ("duplicate", [job_id])
        new = ledger.record(ledger.add_job(to=HANDLE, account="own-0"))
        assert (new.error or {})["code"] == "recipient_suppressed"
        assert diagnosis(ledger) == []
