"""One worker and one account, over a real ledger and the real client, in the test's process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from actors.instagram.client_pool import GatewayPool
from actors.instagram.login_limiter import LoginLimiter
from actors.instagram.options import AccountOptions
from actors.jobs.attempt import perform
from actors.jobs.lookups import LookupAttempt
from deploy.local.instagram.client import FakeInstagram
from service.accounts.encryption import derive_keys
from service.accounts.session_store import SessionStore
from service.accounts.verification_codes import CODE_HOLDS, VerificationCodes
from service.jobs.records import JobRecord
from service.lookups.shared_cache import LookupCache
from service.lookups.targets import user_target
from tests.support.ledger import HOUR, LedgerHarness, open_ledger
from tests.support.runtime import endpoint, make_runtime
from tests.support.session_store import SECRET

_PASSWORDS = ("login", "login_legacy")


class AccountWorker:
    """A worker that knows the account `shop`; its messages are its test's calls.

    Parameters:
      ledger: The ledger.
      fake_instagram: Where the account is.
    """

    def __init__(self, ledger: LedgerHarness, fake_instagram: FakeInstagram) -> None:
        self.ledger = ledger
        self.fake_instagram = fake_instagram
        keys = derive_keys(SECRET)
        self._codes = VerificationCodes(ledger.client, keys)
        self._pool = GatewayPool(
            {"shop": self._account()},
            SessionStore(ledger.client, keys),
            login_guard=LoginLimiter(ledger.client, self._codes),
        )
        self._lookups = LookupCache(ledger.client, ledger.script_config, ["shop"], HOUR)
        self.runtime = make_runtime(ledger, endpoint("crm"), gateways=self._pool)

    def _account(self) -> AccountOptions:
        return AccountOptions(
            name="shop",
            username="shop",
            password="shop-password",
            proxy=self.fake_instagram.proxy_url,
            ca_bundle=str(self.fake_instagram.ca_path),
            human_pace=False,
        )

    def attempt(self, job_id: str) -> JobRecord:
        """Make one attempt at a job that is due; return the job."""
        job = self.ledger.record(job_id)
        work = LookupAttempt if job.kind == "lookup" else None
        self.ledger.run(perform(self.runtime, job_id, work))
        return self.ledger.record(job_id)

    def run_due(self, ms: int = 0) -> None:
        """Let time pass, then work on every job that gets its turn until none does."""
        self.ledger.pass_time(ms)
        self.ledger.heartbeat()
        while woken := self.ledger.take_messages():
            for job_id in woken:
                self.attempt(job_id)
            self.ledger.heartbeat()

    def look_up(self, name: str) -> str:
        """Start a lookup of a profile, as the web does for a copy too old; return the job's id."""
        state = self.ledger.run(self._lookups.get_or_start(user_target(name), 0, "crm"))
        assert state.job_id is not None
        return state.job_id

    def copy_of(self, name: str) -> bytes | None:
        """What lookups of a profile are answered with, however old."""
        state = self.ledger.run(self._lookups.get(user_target(name)))
        return None if state.value is None else state.value.body

    def resume(self) -> None:
        """Resume the account, as a person does."""
        self.ledger.run(self.runtime.accounts.resume("shop"))

    def submit_code(self, code: str) -> None:
        """Send a verification code, as a person does."""
        self.ledger.run(self._codes.put("shop", code))
        self.ledger.run(self.runtime.accounts.clear_verification_hold("shop", CODE_HOLDS))

    def account(self) -> dict[str, Any]:
        """The account as the API shows it."""
        return self.ledger.run(self.runtime.accounts.show("shop"))

    def passwords(self) -> int:
        """How often a password was sent, by either flow."""
        return sum(entry["call"] in _PASSWORDS for entry in self.fake_instagram.log())

    def close(self) -> None:
        """Close the client."""
        self.runtime.heartbeat.stop()
        self.ledger.run(self._pool.close_all())


@contextmanager
def open_account_worker(url: str, fake_instagram: FakeInstagram) -> Iterator[AccountWorker]:
    """Start a worker over an empty store and a reset fake Instagram.

    Parameters:
      url: The store's URL.
      fake_instagram: The fake Instagram.
    """
    fake_instagram.reset()
    with open_ledger(url) as ledger:
        ledger.store.flushdb()
        worker = AccountWorker(ledger, fake_instagram)
        try:
            yield worker
        finally:
            worker.close()
