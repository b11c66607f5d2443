"""A stack whose processes may die at any moment, its supervisor, and what must hold afterwards."""

from __future__ import annotations

import hashlib
import json
import threading
import time
import urllib.error
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx

from deploy.local.inbox import Received
from deploy.local.instagram.records import CommentRecord
from deploy.local.sender import event, send
from deploy.local.stack import Stack
from deploy.local.waiting import until
from tests.chaos.traps import VARIABLE
from tests.support.audit import audit
from tests.support.ledgers import TIMES as TIMES_OF_BOOKS
from tests.support.ledgers import opened_books

#: Short leases, so that a run says within minutes what production would show within hours.
TIMES: Final = {"LEASE_SECONDS": "2", "SETTLE_SECONDS": "1"}
COMMANDS: Final = {
    "web": "python -m tests.chaos.web",
    "worker": "dramatiq tests.chaos.worker --processes 1 --skip-logging",
}
WORKERS: Final = ("worker-1", "worker-2")
#: The first, and one more where a kill cut it short.
MOST_LOGINS: Final = 2


class Arena:
    """Two workers, web and scheduler, restarted whenever they end.

    Parameters:
      directory: Where everything goes.
      redis_url: A Redis to use instead of the embedded Valkey, which then cannot be killed.
      times: LEASE_SECONDS and SETTLE_SECONDS of the processes.
    """

    def __init__(
        self, directory: Path, redis_url: str | None = None, times: dict[str, str] | None = None
    ) -> None:
        self.traps = directory / "traps"
        self.traps.mkdir(parents=True)
        self.stack = Stack(
            directory,
            processes=("web", "scheduler"),
            environ={**(times or TIMES), VARIABLE: str(self.traps)},
            redis_url=redis_url,
            commands=COMMANDS,
        )
        self._calm = threading.Event()

    @contextmanager
    def open(self) -> Iterator[Arena]:
        """Start everything, and a supervisor that starts it again."""
        with self.stack:
            for label in WORKERS:
                self.stack.start("worker", label)
            supervisor = threading.Thread(target=self._supervise, daemon=True)
            supervisor.start()
            try:
                yield self
            finally:
                self._calm.set()
                supervisor.join()

    def deliver(self, document: dict[str, Any], seconds: float = 60) -> dict[str, Any]:
        """Send an event as Stripe does: again and again until it is acknowledged."""
        deadline = time.monotonic() + seconds
        hook = f"{self.stack.url}/webhooks/stripe"
        while True:
            try:
                answer = send(hook, self.stack.webhook_secret, document)
                if answer.status < 300:
                    return answer.body
            except (urllib.error.URLError, OSError, json.JSONDecodeError):
                pass  # the door is closed just now
            if time.monotonic() > deadline:
                raise TimeoutError("the event was not acknowledged")
            time.sleep(0.1)

    def job(self, job_id: str) -> dict[str, Any] | None:
        """The job, if the door is open just now."""
        try:
            answer = httpx.get(
                f"{self.stack.url}/jobs/{job_id}",
                headers={"Authorization": f"Bearer {self.stack.api_key}"},
                timeout=5,
            )
            return dict(answer.json()) if answer.status_code == 200 else None
        except httpx.TransportError:
            return None

    def settled(self, jobs: list[str], seconds: float) -> None:
        """Wait until every job has ended and its end was called back."""
        waiting = set(jobs)

        def over() -> bool:
            told = {each["event"]["data"]["job_id"] for each in self.stack.receiver.received()}
            waiting.difference_update(told)
            return not waiting

        try:
            until(over, seconds, "the end of every job and its callback")
        except TimeoutError:
            shown = "\n".join(map(self._story, sorted(waiting)[:3]))
            raise AssertionError(f"{len(waiting)} jobs did not end:\n{shown}") from None

    def promises_broken(
        self, paid: dict[str, str], renewed: Mapping[str, str] | None = None
    ) -> list[str]:
        """What the stand-in's and the receiver's own logs say against us.

        Parameters:
          paid: By event, the name that its DM's text carries.
          renewed: By comment job, its text; of several jobs it may be the same.

        Returns:
          A sentence for each broken promise.
        """
        standin, received = self.stack.standin, self.stack.receiver.received()
        texts = Counter(dm["text"] for dm in standin.dms())
        sent = {
            name: sum(count for text, count in texts.items() if f" {name}!" in text)
            for name in paid.values()
        }
        broken = [f"{name}: {count} DMs" for name, count in sent.items() if count != 1]
        broken += [
            f"unverified callback {each['reason']}" for each in received if not each["verified"]
        ]
        broken += _callbacks_per_job(received)
        broken += _comments_per_text(standin.comments(), received, renewed or {})
        broken += [f"two calls at once: {pair}" for pair in standin.overlaps()]
        if len(standin.devices()) != 1:
            broken.append(f"{len(standin.devices())} devices")
        logins = [each for each in standin.logins() if each["outcome"] == "ok"]
        if len(logins) > MOST_LOGINS:
            broken.append(f"{len(logins)} logins")
        return [*broken, *self._ledger_defects()]

    def _story(self, job_id: str) -> str:
        """A job and its timeline, for whoever has to find out."""
        with opened_books(self.stack.redis_url, TIMES_OF_BOOKS) as books:
            lines = books.run(books.reader.timeline(job_id))
        return "\n".join([str(self.job(job_id)), *(f"  {line}" for line in lines)])

    def _ledger_defects(self) -> list[str]:
        """What is not as it must be in the ledger, once nothing moves any more."""
        with opened_books(self.stack.redis_url, TIMES_OF_BOOKS) as books:
            return audit(books)

    def _supervise(self) -> None:
        while not self._calm.wait(0.05):
            for label, process in list(self.stack.processes.items()):
                if process.returncode is not None and not self._calm.is_set():
                    self.stack.start(label.partition("-")[0], label)


def paid_event(name: str) -> dict[str, Any]:
    """A paid checkout of a customer of its own, whose DM says ` {name}!`."""
    document = event("checkout.session.completed", id=f"evt_{name}")
    document["data"]["object"]["payment_intent"] = f"pi_{name}"
    document["data"]["object"]["customer_details"]["name"] = name
    handle = f"c{hashlib.sha256(name.encode()).hexdigest()[:12]}"
    document["data"]["object"]["custom_fields"][0]["text"]["value"] = handle
    return document


def renewed_event(name: str, handle: str) -> dict[str, Any]:
    """A paid renewal, whose comment says `Welcome back, @{handle}!`."""
    document = event("invoice.paid", id=f"evt_{name}")
    parent = {"subscription_details": {"metadata": {"instagram": handle}}}
    document["data"]["object"]["parent"] = parent
    return document


def _comments_per_text(
    stored: list[CommentRecord], received: list[Received], renewed: Mapping[str, str]
) -> list[str]:
    """Every job must be credited with one comment, and every comment to one job."""
    credited: defaultdict[str, set[str]] = defaultdict(set)
    for each in received:
        data = each["event"]["data"]
        if data["job_id"] in renewed:
            comment_id = (data["result"] or {}).get("comment_id", data["status"])
            credited[renewed[data["job_id"]]].add(comment_id)
    broken = []
    for text, jobs in Counter(renewed.values()).items():
        there = {each["pk"] for each in stored if each["text"] == text}
        if not len(there) == len(credited[text]) == jobs or there != credited[text]:
            broken.append(f"{text}: {jobs} jobs, {sorted(there)}, told {sorted(credited[text])}")
    return broken


def _callbacks_per_job(received: list[Received]) -> list[str]:
    ids: defaultdict[str, set[str]] = defaultdict(set)
    for each in received:
        data = each["event"]["data"]
        ids[data["job_id"]].add(f"{each['headers']['webhook-id']} {each['event']['type']}")
    return [
        f"{job}: different callbacks {sorted(found)}"
        for job, found in ids.items()
        if len(found) > 1
    ]
