"""A stack whose processes and store may die at any moment, and their supervisor."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Literal, NoReturn

from deploy.local.received_callbacks import ReceivedCallback
from deploy.local.stack import Stack
from deploy.local.wait import until
from tests.chaos import logins
from tests.chaos.failpoints import VARIABLE, clear_failpoints, set_failpoint, triggering_group
from tests.chaos.failure_report import failure_report
from tests.chaos.promises import Expected, broken_promises, complete_callbacks
from tests.chaos.relay import Relay
from tests.chaos.sender import ChaosSender, NotAcknowledged, paid_event, renewed_event
from tests.support.config_file import usual_config, write_config
from tests.support.invariants import audit
from tests.support.ledger import TIMES as TIMES_OF_BOOKS
from tests.support.ledger import open_ledger

#: Of every random choice (`make chaos` sets another).
SEED: Final = int(os.environ.get("CHAOS_SEED", "7"))
#: How often each step is tried (`make chaos` sets more).
ROUNDS: Final = int(os.environ.get("CHAOS_ROUNDS", "1"))
#: Short leases, so that a run says within minutes what production would show within hours.
TIMES: Final = {"LEASE_SECONDS": "2", "SETTLE_SECONDS": "1"}
COMMANDS: Final = {
    "web": "python -m tests.chaos.web",
    "worker": "dramatiq tests.chaos.worker --processes 1 --skip-logging",
}
WORKERS: Final = ("worker-1", "worker-2")

Victim = Literal["process", "store"]


class Cluster:
    """Two workers, web and scheduler, restarted whenever they end, as is the store.

    Each process reaches the store through a relay of its own; whoever judges them, directly.

    Parameters:
      directory: Where everything goes.
      redis_url: A Redis to use instead of the embedded Valkey, which then cannot be killed.
      times: LEASE_SECONDS and SETTLE_SECONDS of the processes.
      accounts: Accounts besides `shop`, as for `usual_config`.
    """

    def __init__(
        self,
        directory: Path,
        redis_url: str | None = None,
        times: Mapping[str, str] | None = None,
        accounts: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.seed = SEED
        self.faults: list[str] = []
        self.expected = Expected()
        self.failpoints = directory / "traps"
        self._logins = directory / "logins"
        for folder in (self.failpoints, self._logins):
            folder.mkdir(parents=True)
        self.document = usual_config(accounts=accounts)
        config = write_config(directory / "heliograph.toml", self.document)
        self.relays: dict[str, Relay] = {}
        self._relays_open = ExitStack()
        self.stack = Stack(
            directory,
            processes=(),
            config=config,
            environ={
                **(times or TIMES),
                VARIABLE: str(self.failpoints),
                logins.VARIABLE: str(self._logins),
            },
            redis_url=redis_url,
            commands=COMMANDS,
        )
        self._own_store = redis_url is None
        self._store_lock = threading.Lock()
        self._variables: dict[str, Mapping[str, str]] = {}
        self._retired: set[str] = set()
        self._calm = threading.Event()
        self._dice = random.Random(self.seed)
        self._doomed = 0
        self._received: list[ReceivedCallback] = []
        self._reported: set[str] = set()
        self._began = time.monotonic()

    @contextmanager
    def open(self) -> Iterator[Cluster]:
        """Start everything, and a supervisor that starts it again."""
        with self._relays_open, self.stack:
            for label in ("web", "scheduler", *WORKERS):
                self.start(label)
            until(self.stack.ready, what="the web process' readiness")
            supervisor = threading.Thread(target=self._supervise, daemon=True)
            supervisor.start()
            try:
                yield self
            finally:
                self._calm.set()
                supervisor.join()

    # -- processes

    def start(self, label: str, variables: Mapping[str, str] | None = None) -> None:
        """Start a process, and start it again whenever it ends.

        Parameters:
          label: `web`, `worker` or `scheduler`, and after a dash what tells it from the others.
          variables: More for its environment.
        """
        if label not in self.relays:
            relay = Relay(lambda: self.stack.redis_url)
            self.relays[label] = self._relays_open.enter_context(relay)
        url = {"REDIS_URL": self.relays[label].url(self.stack.redis_url)}
        self._variables[label] = {**url, **(variables or {})}
        self.stack.start(label.partition("-")[0], label, self._variables[label])

    def retire(self, *labels: str) -> dict[str, int]:
        """Stop processes for good, as a platform does; tells how each ended."""
        self._retired.update(labels)
        self.log(f"retire {', '.join(labels)}")
        processes = {label: self.stack.processes[label] for label in labels}
        for process in processes.values():
            process.signal(signal.SIGTERM)
        return {label: process.stop() for label, process in processes.items()}

    def kill_store(self, seconds: float) -> None:
        """Kill the store and start it again after so long."""
        with self._store_lock:
            self.stack.store.kill()
            self._start_store(seconds)

    def arm_failpoint(
        self, step: str, victim: Victim = "process", number: signal.Signals = signal.SIGKILL
    ) -> Path:
        """Set a trap at a step.

        Parameters:
          step: Its name.
          victim: Who is struck: the process that comes by, or the store while it does.
          number: With what.
        """
        self.log(f"trap {step}: {number.name} to the {victim}")
        pid = self.stack.store.pid if victim == "store" else 0
        self._doomed = pid if number is signal.SIGKILL else 0
        return set_failpoint(self.failpoints, step, number, pid)

    def wait_triggered(self, trap: Path, seconds: float = 30) -> None:
        """Wait until a process came by a trap; where it was for the store, until that is back."""

        def over() -> bool:
            return not (trap.exists() or (self._doomed and self.stack.store.pid == self._doomed))

        try:
            until(over, seconds)
        except TimeoutError:
            self.fail([f"nothing came of the trap {trap.name}, {list(self.expected.dms)[-1:]}"])

    def triggered_by(self, trap: Path) -> str:
        """The label of the process that a trap has sprung at."""
        group = until(lambda: triggering_group(trap), 5, f"who came by the trap {trap.name}")
        return next(label for label, each in self.stack.processes.items() if each.pid == group)

    def thaw(self) -> None:
        """Let every process go on that was stopped."""
        for process in self.stack.processes.values():
            process.signal(signal.SIGCONT, group=True)

    def log(self, strike: str) -> None:
        """Write down what is done to the processes."""
        self.faults.append(f"{time.monotonic() - self._began:7.2f} s  {strike}")

    # -- work

    def send_payment(self, name: str) -> str:
        """Deliver a paid checkout that makes one DM; its job."""
        job = self._one_job(paid_event(name))
        self.expected.dms[name] = [job]
        return job

    def send_renewal(self, name: str, handle: str) -> str:
        """Deliver a paid renewal that makes one comment; its job."""
        job = self._one_job(renewed_event(name, handle))
        self.expected.comments[job] = f"Welcome back, @{handle}!"
        return job

    def order(self, name: str, account: str) -> str:
        """Ask for a DM from one account; its job."""
        try:
            job = str(ChaosSender(self.stack).order(name, account)["id"])
        except NotAcknowledged as error:
            self.fail([str(error)])
        self.expected.dms[name] = [job]
        return job

    def attempts(self, job: str) -> int:
        """How often a job was begun."""
        with open_ledger(self.stack.redis_url, TIMES_OF_BOOKS) as ledger:
            return ledger.record(job).attempts

    def expire_session(self, account: str) -> None:
        """Let Instagram end an account's sessions."""
        self.stack.fake_instagram.expire_session(account)
        self.expected.expired[account] += 1
        self.log(f"expire the session of {account}")

    def backlog(self) -> int:
        """How many jobs have not ended, or were not called back, yet."""
        return len(self._unconfirmed())

    def wait_settled(self, seconds: float) -> None:
        """Wait until every job has ended and its end was called back."""
        try:
            until(lambda: not self._unconfirmed() and self._store_is_up(), seconds)
        except TimeoutError:
            left = sorted(self._unconfirmed())
            self.fail([f"{len(left)} jobs did not end within {seconds:g} s: {', '.join(left)}"])

    def check_promises(self) -> None:
        """Check everything since the start, except what an earlier test has already reported.

        Raises:
          AssertionError: A promise is broken; the message has all that is needed to find out why.
        """
        accounts = {each["account"] for each in self.stack.fake_instagram.logins()}
        cut = {account: logins.cut_short(self._logins, account) for account in accounts}
        self._unconfirmed()
        findings = broken_promises(self.stack.fake_instagram, self._received, self.expected, cut)
        with open_ledger(self.stack.redis_url, TIMES_OF_BOOKS) as ledger:
            findings += audit(ledger)
        new = [finding for finding in findings if _subject(finding) not in self._reported]
        if new:
            self.fail(new)

    def fail(self, findings: Sequence[str]) -> NoReturn:
        """Fail with a message that has the seed, the injected faults and the jobs' timelines.

        One failure stays one failure: later tests on this cluster do not report it again.
        """
        self._reported.update(map(_subject, findings))
        latest = [jobs[-1] for jobs in self.expected.dms.values() if jobs][-1:]
        latest += list(self.expected.comments)[-1:]
        said = failure_report(self.seed, self.faults, findings, self.stack.redis_url, latest)
        raise AssertionError(said) from None

    def recover(self) -> None:
        """Undo every fault and write off unfinished jobs, so that the next test starts clean."""
        self.clear_faults()
        self.expected.write_off(self._unconfirmed())

    def clear_faults(self) -> None:
        """Remove every failpoint, delay and scripted answer, and resume frozen processes."""
        for failpoint in self.failpoints.iterdir():
            failpoint.unlink(missing_ok=True)
        for relay in self.relays.values():
            relay.clear()
        self.stack.fake_instagram.clear_faults()
        self.stack.receiver.clear_answers()
        self.thaw()

    def _one_job(self, document: dict[str, Any]) -> str:
        try:
            jobs: list[str] = ChaosSender(self.stack).deliver(document)["jobs"]
        except NotAcknowledged as error:
            self.fail([str(error)])
        if len(jobs) != 1:
            self.fail([f"{document['id']} made the jobs {jobs}"])
        return jobs[0]

    def _unconfirmed(self) -> set[str]:
        """Which jobs' ends were not called back yet."""
        self._received += self.stack.receiver.received(len(self._received))
        heard = {each["event"]["data"]["job_id"] for each in complete_callbacks(self._received)}
        return self.expected.jobs - heard

    def _store_is_up(self) -> bool:
        return not self._own_store or self.stack.store.listening

    # -- the supervisor

    def _supervise(self) -> None:
        while not self._calm.wait(0.05):
            if not self._store_is_up():
                with self._store_lock:
                    self._start_store(self._dice.uniform(0, 0.5))
            for label, process in list(self.stack.processes.items()):
                if process.returncode is not None and label not in self._retired:
                    self.start(label, self._variables[label])

    def _start_store(self, seconds: float) -> None:
        """Start it after so long, if it is down; a trap for the one that died is for nobody."""
        self._calm.wait(seconds)
        if not self.stack.store.listening:
            self.stack.store.kill()
            clear_failpoints(self.failpoints, self.stack.store.pid)
            self.stack.store.start()


def _subject(finding: str) -> str:
    """What a finding is about; the rest of it may change with time."""
    return finding.partition(": ")[0]


def extra_accounts(count: int, **changes: Any) -> dict[str, dict[str, Any]]:
    """Accounts `extra-0` and so on, whose usernames have a dot instead of the dash."""
    return {f"extra-{n}": {"username": f"extra.{n}", **changes} for n in range(count)}
