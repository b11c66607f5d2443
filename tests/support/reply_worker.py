"""A worker in the test process whose real client meets scripted replies of the fake Instagram."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from actors.instagram.client_pool import GatewayPool
from actors.instagram.options import AccountOptions
from actors.jobs.attempt import Attempt, perform
from actors.jobs.lookups import LookupAttempt
from deploy.local.instagram.client import FakeInstagram
from service.accounts.encryption import derive_keys
from service.accounts.session_store import SessionStore
from service.jobs.lua.builder import ScriptConfig
from tests.instagram.reply_rows import Expected, Row
from tests.support.ledger import HOUR, TIMES, LedgerHarness, open_ledger
from tests.support.runtime import endpoint, make_runtime

#: The call of the fake Instagram that a row's reply answers.
CALLS: Final = {
    "dm": "broadcast_text",
    "comment": "comment",
    "profile": "usernameinfo",
    "thread": "get_by_participants",
    "lookup": "usernameinfo",
}
WRITES: Final = ("broadcast_text", "comment")
_POST: Final = "3700000000000000001"
#: More attempts than any job makes.
_MANY: Final = 30
_ENDED: Final = frozenset({"succeeded", "failed", "uncertain", "held"})


class ReplyWorker:
    """Does one job for each row and tells what became of it, of its account and at Instagram.

    Parameters:
      ledger: The ledger.
      fake_instagram: Gives the replies.
    """

    def __init__(self, ledger: LedgerHarness, fake_instagram: FakeInstagram) -> None:
        self.ledger = ledger
        self.fake_instagram = fake_instagram
        self._numbers = itertools.count(1)
        self._since = 0
        account = AccountOptions(
            name="shop",
            username="shop",
            password="shop-password",
            proxy=fake_instagram.proxy_url,
            ca_bundle=str(fake_instagram.ca_path),
            human_pace=False,
        )
        self._pool = GatewayPool(
            {"shop": account}, SessionStore(ledger.client, derive_keys("k" * 32))
        )
        self.runtime = make_runtime(ledger, endpoint("crm"), gateways=self._pool)

    def close(self) -> None:
        """Close the client and the heartbeat."""
        self.ledger.run(self._pool.close_all())
        self.runtime.heartbeat.stop()

    def log_in(self) -> None:
        """Make the account's first login, which belongs to no row."""
        with self._pool.acquire("shop") as gateway:
            self.ledger.run(gateway.ensure_login())

    def outcome(self, row: Row) -> Expected:
        """Do a job whose every attempt meets a row's reply, until it ends or its account rests."""
        self._script(row)
        since = max((each["seq"] for each in self.fake_instagram.log(since=self._since)), default=0)
        self._since = max(self._since, since)
        logins = len(self.fake_instagram.logins())
        job_id = self.add_job(row)
        self.attempt_until_done(job_id, _work(row))
        calls = self.fake_instagram.log(since=self._since)
        record = self.ledger.record(job_id)
        outcome = Expected(
            str(record.status),
            (record.error or {}).get("code") or record.wait_reason or "",
            account=self.account_state(),
            writes=sum(each["call"] in WRITES for each in calls),
            logins=len(self.fake_instagram.logins()) - logins,
        )
        self.drop(job_id)
        return outcome

    def begin(self, row: Row) -> str:
        """Make the first attempt at a job that meets a row's reply; return the job's id."""
        self._script(row)
        job_id = self.add_job(row)
        self.ledger.run(perform(self.runtime, job_id, _work(row)))
        return job_id

    def drop(self, job_id: str) -> None:
        """Cancel a job that still waits, so that the next one gets the account's turn."""
        self.ledger.run(self.runtime.ledger.cancel(job_id, "the next row"))

    def _script(self, row: Row) -> None:
        self.ledger.run(self.runtime.accounts.resume("shop"))
        self.fake_instagram.clear_faults()
        self.fake_instagram.fault(CALLS[row.where], times=None, **row.effects())

    def add_job(self, row: Row) -> str:
        """A job of the row's kind, to somebody who was never written to."""
        name = f"somebody.{next(self._numbers)}"
        self.fake_instagram.add_user(name)
        if row.where == "comment":
            return self.ledger.add_job(kind="comment", to=None, post=_POST)
        if row.where == "lookup":
            return self.ledger.add_job(kind="lookup", to=name, text="")
        return self.ledger.add_job(to=name)

    def attempt_until_done(self, job_id: str, work: type[Attempt] | None = None) -> None:
        """Make attempts, each when it is due, until the job ends or its account rests."""
        self.ledger.run(perform(self.runtime, job_id, work))
        for _ in range(_MANY):
            if str(self.ledger.status(job_id)) in _ENDED or self.account_state() != "none":
                return
            self.ledger.pass_time(HOUR)
            self.ledger.heartbeat()
            self.ledger.run(perform(self.runtime, job_id, work))

    def account_state(self) -> str:
        """`held`; `account` or `kind`, if all of it or one kind of action rests; or `none`."""
        fields: Any = self.ledger.store.hgetall("hg:acct:shop")
        if fields.get(b"hold"):
            return "held"
        cooling = [name for name in fields if name.startswith(b"cool:")]
        if not cooling:
            return "none"
        return "account" if b"cool:*" in cooling else "kind"


def _work(row: Row) -> type[Attempt] | None:
    return LookupAttempt if row.where == "lookup" else None


@contextmanager
def open_reply_worker(
    store_url: str, fake_instagram: FakeInstagram, script_config: ScriptConfig = TIMES
) -> Iterator[ReplyWorker]:
    """A worker whose account is logged in."""
    with open_ledger(store_url, script_config) as ledger:
        worker = ReplyWorker(ledger, fake_instagram)
        try:
            worker.log_in()
            yield worker
        finally:
            worker.close()
