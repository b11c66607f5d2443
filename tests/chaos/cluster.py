"""A stack whose processes and store may die at any moment, and a supervisor that restarts them."""

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
from tests.chaos.promises import Expected, broken_promises, complete_callbacks, subject_of
from tests.chaos.relay import Relay
from tests.chaos.sender import ChaosSender, NotAcknowledged, paid_event, renewed_event
from tests.support.config_file import usual_config, write_config
from tests.support.invariants import audit
from tests.support.ledger import TIMES as LEDGER_TIMES
from tests.support.ledger import open_ledger

#: The seed of every random choice (`make chaos` sets another).
SEED: Final = int(os.environ.get("CHAOS_SEED", "7"))
#: How often each step is tested (`make chaos` raises it).
ROUNDS: Final = int(os.environ.get("CHAOS_ROUNDS", "1"))
#: Short leases, so that a run covers in minutes what takes production hours.
TIMES: Final = {"LEASE_SECONDS": "2", "SETTLE_SECONDS": "1"}
COMMANDS: Final = {
    "web": "python -m tests.chaos.web",
    "worker": "dramatiq tests.chaos.worker --processes 1 --skip-logging",
}
WORKERS: Final = ("worker-1", "worker-2")

Victim = Literal["process", "store"]


class Cluster:
    """Two workers, web and scheduler, restarted whenever they end, as is the store.

    Each process reaches the store through its own relay; the checks connect directly.

    Parameters:
      directory: For logs, configuration and failpoints.
      redis_url: A Redis to use instead of the embedded Valkey; it is never killed.
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
        self.failpoints = directory / "failpoints"
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
        self._closing = threading.Event()
        self._dice = random.Random(self.seed)
        self._store_to_die = 0
        self._received: list[ReceivedCallback] = []
        self._reported: set[str] = set()
        self._began = time.monotonic()

    @contextmanager
    def open(self) -> Iterator[Cluster]:
        """Start everything and the supervisor."""
        with self._relays_open, self.stack:
            for label in ("web", "scheduler", *WORKERS):
                self.start(label)
            until(self.stack.ready, what="the web process' readiness")
            supervisor = threading.Thread(target=self._supervise, daemon=True)
            supervisor.start()
            try:
                yield self
            finally:
                self._closing.set()
                supervisor.join()

    # -- processes

    def start(self, label: str, variables: Mapping[str, str] | None = None) -> None:
        """Start a process and restart it whenever it ends.

        Parameters:
          label: `web`, `worker` or `scheduler`, optionally with a suffix after a dash.
          variables: More environment variables for it.
        """
        if label not in self.relays:
            relay = Relay(lambda: self.stack.redis_url)
            self.relays[label] = self._relays_open.enter_context(relay)
        url = {"REDIS_URL": self.relays[label].url(self.stack.redis_url)}
        self._variables[label] = {**url, **(variables or {})}
        self.stack.start(label.partition("-")[0], label, self._variables[label])

    def retire(self, *labels: str) -> dict[str, int]:
        """Stop processes for good with SIGTERM; return their exit codes."""
        self._retired.update(labels)
        self.log(f"retire {', '.join(labels)}")
        processes = {label: self.stack.processes[label] for label in labels}
        for process in processes.values():
            process.signal(signal.SIGTERM)
        return {label: process.stop() for label, process in processes.items()}

    def kill_store(self, seconds: float) -> None:
        """Kill the store and restart it after `seconds`."""
        with self._store_lock:
            self.stack.store.kill()
            self._start_store(seconds)

    def arm_failpoint(
        self, step: str, victim: Victim = "process", number: signal.Signals = signal.SIGKILL
    ) -> Path:
        """Set a failpoint at a step.

        Parameters:
          step: The step's name.
          victim: What receives the signal: the process that reaches the step, or the store.
          number: The signal.
        """
        self.log(f"failpoint {step}: {number.name} to the {victim}")
        pid = self.stack.store.pid if victim == "store" else 0
        self._store_to_die = pid if number is signal.SIGKILL else 0
        return set_failpoint(self.failpoints, step, number, pid)

    def wait_triggered(self, failpoint: Path, seconds: float = 30) -> None:
        """Wait until a process reached a failpoint, and until a store killed there is back."""

        def over() -> bool:
            return not (
                failpoint.exists()
                or (self._store_to_die and self.stack.store.pid == self._store_to_die)
            )

        try:
            until(over, seconds)
        except TimeoutError:
            self.fail([f"no process reached {failpoint.name}, {list(self.expected.dms)[-1:]}"])

    def triggered_by(self, failpoint: Path) -> str:
        """The label of the process that reached a failpoint."""
        group = until(lambda: triggering_group(failpoint), 5, f"who reached {failpoint.name}")
        return next(label for label, each in self.stack.processes.items() if each.pid == group)

    def thaw(self) -> None:
        """Resume every process that was frozen."""
        for process in self.stack.processes.values():
            process.signal(signal.SIGCONT, group=True)

    def log(self, fault: str) -> None:
        """Record a fault for the failure report."""
        self.faults.append(f"{time.monotonic() - self._began:7.2f} s  {fault}")

    # -- work

    def send_payment(self, name: str) -> str:
        """Deliver a paid checkout, which makes one DM; return its job id."""
        job = self._one_job(paid_event(name))
        self.expected.dms[name] = [job]
        return job

    def send_renewal(self, name: str, handle: str) -> str:
        """Deliver a paid renewal, which makes one comment; return its job id."""
        job = self._one_job(renewed_event(name, handle))
        self.expected.comments[job] = f"Welcome back, @{handle}!"
        return job

    def order(self, name: str, account: str) -> str:
        """Create a DM of one account through the API; return its job id."""
        try:
            job = str(ChaosSender(self.stack).order(name, account)["id"])
        except NotAcknowledged as error:
            self.fail([str(error)])
        self.expected.dms[name] = [job]
        return job

    def expire_session(self, account: str) -> None:
        """Expire an account's sessions at Instagram."""
        self.stack.fake_instagram.expire_session(account)
        self.expected.expired[account] += 1
        self.log(f"expire the session of {account}")

    def wait_settled(self, seconds: float) -> None:
        """Wait until every job has ended and its callback was received."""
        try:
            until(lambda: not self.unfinished() and self._store_is_up(), seconds)
        except TimeoutError:
            jobs = sorted(self.unfinished())
            self.fail([f"{len(jobs)} jobs did not end within {seconds:g} s: {', '.join(jobs)}"])

    def check_promises(self) -> None:
        """Check everything since the start, except what an earlier test has already reported.

        Raises:
          AssertionError: A promise is broken; the message has all that is needed to find out why.
        """
        accounts = {each["account"] for each in self.stack.fake_instagram.logins()}
        cut = {account: logins.cut_short(self._logins, account) for account in accounts}
        self.unfinished()
        findings = broken_promises(self.stack.fake_instagram, self._received, self.expected, cut)
        with open_ledger(self.stack.redis_url, LEDGER_TIMES) as ledger:
            findings += audit(ledger)
        new = [finding for finding in findings if subject_of(finding) not in self._reported]
        if new:
            self.fail(new)

    def fail(self, findings: Sequence[str]) -> NoReturn:
        """Fail with a message that has the seed, the injected faults and the jobs' timelines.

        One failure stays one failure: later tests on this cluster do not report it again.
        """
        self._reported.update(map(subject_of, findings))
        latest = [jobs[-1] for jobs in self.expected.dms.values() if jobs][-1:]
        latest += list(self.expected.comments)[-1:]
        report = failure_report(self.seed, self.faults, findings, self.stack.redis_url, latest)
        raise AssertionError(report) from None

    def recover(self) -> None:
        """Undo every fault and write off unfinished jobs, so that the next test starts clean."""
        self.clear_faults()
        self.expected.write_off(self.unfinished())

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

    def unfinished(self) -> set[str]:
        """The jobs whose callback was not received yet."""
        self._received += self.stack.receiver.received(len(self._received))
        called = {each["event"]["data"]["job_id"] for each in complete_callbacks(self._received)}
        return self.expected.jobs - called

    def _store_is_up(self) -> bool:
        return not self._own_store or self.stack.store.listening

    # -- the supervisor

    def _supervise(self) -> None:
        while not self._closing.wait(0.05):
            if not self._store_is_up():
                with self._store_lock:
                    self._start_store(self._dice.uniform(0, 0.5))
            for label, process in list(self.stack.processes.items()):
                if process.returncode is not None and label not in self._retired:
                    self.start(label, self._variables[label])

    def _start_store(self, seconds: float) -> None:
        """Start it after `seconds` if it is down; drop the failpoints for the dead process."""
        self._closing.wait(seconds)
        if not self.stack.store.listening:
            self.stack.store.kill()
            clear_failpoints(self.failpoints, self.stack.store.pid)
            self.stack.store.start()
