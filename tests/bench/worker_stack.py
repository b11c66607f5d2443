"""The stack of the worker measurements: many accounts and origins, no budgets."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast

import certifi
import httpx
import redis

from deploy.local.instagram.records import CallRecord
from deploy.local.sender import event, send
from deploy.local.stack import Stack
from deploy.local.wait import until
from tests.support.config_file import usual_config, write_config

_PASSWORD: Final = "bench-password"
WRITE: Final = "broadcast_text"
FLOOD: Final = "bench.flood"


class Workplace:
    """A stack whose worker the measurements start and restart.

    Parameters:
      directory: For logs, configuration and data.
      accounts: Names of accounts beside `shop`.
      origins: URLs of callbacks; an event of type FLOOD is a callback to each.
    """

    def __init__(self, directory: Path, accounts: Sequence[str], origins: Sequence[str]) -> None:
        config = write_config(directory / "heliograph.toml", _config(accounts, origins))
        self._directory = directory
        self._accounts = accounts
        self._stack = Stack(directory / "stack", processes=(), config=config)
        self._open = ExitStack()
        self._paid = event("checkout.session.completed")

    def __enter__(self) -> Self:
        """Start the store, the fake Instagram and the receiver."""
        self._stack.__enter__()
        self.fake_instagram = self._stack.fake_instagram
        self.receiver = self._stack.receiver
        self.redis_url = self._stack.redis_url
        self.store = self._open.enter_context(redis.Redis.from_url(self.redis_url))
        headers = {"Authorization": f"Bearer {self._stack.api_key}"}
        client = httpx.Client(base_url=self._stack.url, headers=headers, timeout=30)
        self.api = self._open.enter_context(client)
        # All certificates that a deployment trusts: a client with only one would be too light.
        self._ca = self._directory / "ca.pem"
        self._ca.write_text(
            Path(certifi.where()).read_text() + self.fake_instagram.ca_path.read_text()
        )
        for name in self._accounts:
            self.fake_instagram.add_account(name, _PASSWORD)
        self.regular = self.fake_instagram.add_user("a.regular")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop everything."""
        self._open.close()
        self._stack.close()

    def start_web(self) -> None:
        """Start the web process and wait until it is ready."""
        self._stack.start("web")
        until(self._stack.ready, what="the web process")

    def start_worker(self) -> int:
        """Start a worker instead of the one before; return its master's pid."""
        before = self._stack.processes.get("worker")
        if before is not None:
            before.stop()
            before.log.unlink()
        worker = self._stack.start("worker", environ={"INSTAGRAM_CA_BUNDLE": str(self._ca)})
        until(lambda: "ready for action" in worker.log.read_text(), what="the worker")
        return worker.pid

    def order(self, account: str, **wanted: Any) -> str:
        """Create a DM to the regular recipient; return the job's id."""
        body = {"kind": "dm", "account": account, "to": self.regular, "text": "Hello!", **wanted}
        answer = self.api.post("/jobs", json=body).raise_for_status()
        return str(answer.json()["id"])

    def seconds_to_the_wire(self, ask: Callable[[], object]) -> float:
        """The seconds from the response to a request that makes one DM to the DM's own request.

        Parameters:
          ask: Makes the request, and returns after the response.
        """
        seen = len(self.fake_instagram.log())
        ask()
        answered = time.monotonic()
        sent: CallRecord = until(partial(self._write_since, seen), 30, "the DM")
        # The same clock: the fake Instagram runs on this machine.
        return sent["begun"] - answered

    def pay(self) -> str:
        """Post the event of a paid order, which is a DM by `shop`; return the job's id."""
        [job] = self._post(self._paid)
        return job

    def flood(self) -> None:
        """Post an event that makes one callback to every origin."""
        self._post({**self._paid, "type": FLOOD})

    def lateness_when_all_ended(self, jobs: Sequence[str], due: float, seconds: float) -> float:
        """The seconds from a moment to the end of the last job, by the store's clock.

        Parameters:
          jobs: The jobs; nothing else is in progress.
          due: The moment, in Unix seconds.
          seconds: How long to wait for their end.
        """
        until(lambda: not self._unended(), seconds, "the end of all jobs")
        return max(map(self.ended_at, jobs)) - due

    def ended_at(self, job: str) -> float:
        """When a job ended, by the store's clock, in Unix seconds; 0 before that."""
        return int(cast(bytes, self.store.hget(f"hg:job:{job}", "finished"))) / 1000

    def when_idle(self) -> None:
        """Wait until nothing is in progress."""
        until(lambda: not (self._unended() or self._undelivered()), 90, "an idle stack")

    def _unended(self) -> int:
        states = ("scheduled", "queued", "waiting", "held", "running", "sending")
        return sum(self.store.zcard(f"hg:jobs:status:{state}") for state in states)

    def _undelivered(self) -> int:
        states = ("pending", "delivering")
        return sum(self.store.zcard(f"hg:dlvs:status:{state}") for state in states)

    def _post(self, document: dict[str, Any]) -> list[str]:
        mark = uuid.uuid4().hex
        document = {**document, "id": f"evt_{mark}"}
        thing = {**document["data"]["object"], "payment_intent": f"pi_{mark}"}
        hook, secret = f"{self._stack.url}/webhooks/stripe", self._stack.webhook_secret
        answer = send(hook, secret, {**document, "data": {"object": thing}})
        if answer.status != 202:
            raise RuntimeError(f"the webhook was answered {answer.status}: {answer.body}")
        return list(answer.body["jobs"])

    def _write_since(self, seq: int) -> CallRecord | None:
        return next(iter(self.fake_instagram.log(WRITE, since=seq)), None)


def _config(accounts: Sequence[str], origins: Sequence[str]) -> dict[str, Any]:
    """The local stack's configuration, with the accounts and a rule for each origin."""
    names = [f"origin-{number}" for number in range(len(origins))]
    # A job without a recipient is rejected at creation, so its callback is due at once.
    job = {"event": FLOOD, "action": "dm", "to": "{{ object.nobody | default('') }}", "text": "-"}
    return usual_config(
        accounts={name: {"password": _PASSWORD} for name in accounts},
        callbacks={name: {"url": url} for name, url in zip(names, origins, strict=True)},
        rules=[{"name": name, "callback": name, **job} for name in names],
    )
