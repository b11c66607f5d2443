"""One test's events, jobs, DMs and callbacks on a stack that several tests share."""

from __future__ import annotations

from typing import Any

import httpx

from deploy.local.instagram.records import CommentRecord, DmRecord
from deploy.local.received_callbacks import ReceivedCallback
from deploy.local.sender import Response, event, send
from deploy.local.stack import Stack
from deploy.local.wait import until

FINAL = {"succeeded", "failed", "canceled", "expired", "uncertain"}


class Scenario:
    """Sends events and creates jobs of this test's own, and reads what became of them.

    Parameters:
      stack: The stack.
      name: Makes this test's ids unique.
    """

    def __init__(self, stack: Stack, name: str) -> None:
        self.stack = stack
        self.name = name
        self.api = httpx.Client(
            base_url=stack.url,
            headers={"Authorization": f"Bearer {stack.api_key}"},
            timeout=30,
        )

    def begin(self) -> None:
        """Start missing processes, and clear all faults and received callbacks."""
        for name in ("web", "worker"):
            process = self.stack.processes.get(name)
            if process is None or process.returncode is not None:
                self.stack.start(name)
        until(self.stack.ready)
        self.stack.fake_instagram.clear_faults()
        self.stack.receiver.reset()
        self.api.post("/accounts/shop/resume").raise_for_status()

    def end(self) -> None:
        """Clear the faults and scripted answers of this test."""
        self.stack.fake_instagram.clear_faults()
        self.stack.receiver.clear_answers()
        self.api.close()

    def send(self, kind: str, suffix: str = "", **changes: Any) -> Response:
        """Send a Stripe event of this test's own.

        Parameters:
          kind: The name of an event in deploy/local/events.
          suffix: Makes the ids unique if a test sends several.
          changes: Fields of its `data.object` to change.
        """
        document = event(kind, id=f"evt_{self.name}{suffix}")
        document["data"]["object"].update(changes)
        if "payment_intent" in document["data"]["object"]:
            document["data"]["object"]["payment_intent"] = f"pi_{self.name}{suffix}"
        return send(f"{self.stack.url}/webhooks/stripe", self.stack.webhook_secret, document)

    def create_dm(self, **wanted: Any) -> str:
        """Create a DM through the API; return the job's id."""
        body = {"kind": "dm", "account": "shop", "to": "some.handle", "callback": "crm", **wanted}
        answer = self.api.post("/jobs", json={"text": f"hello {self.name}", **body})
        answer.raise_for_status()
        return str(answer.json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """The job as the API shows it."""
        shown: dict[str, Any] = self.api.get(f"/jobs/{job_id}").raise_for_status().json()
        return shown

    def wait_final(self, job_id: str, seconds: float = 30) -> dict[str, Any]:
        """The job, once it has ended."""

        def final() -> dict[str, Any] | None:
            job = self.job(job_id)
            return job if job["status"] in FINAL else None

        return until(final, seconds, f"the end of {self.job(job_id)}")

    def wait_status(self, job_id: str, status: str, seconds: float = 20) -> dict[str, Any]:
        """The job, once it has a status."""

        def there() -> dict[str, Any] | None:
            job = self.job(job_id)
            return job if job["status"] == status else None

        return until(there, seconds, f"{status} of {self.job(job_id)}")

    def dms(self, text: str | None = None) -> list[DmRecord]:
        """The DMs at the fake Instagram whose text contains `text`."""
        return [dm for dm in self.stack.fake_instagram.dms() if text is None or text in dm["text"]]

    def comments(self, text: str) -> list[CommentRecord]:
        """The comments at the fake Instagram whose text contains `text`."""
        return [each for each in self.stack.fake_instagram.comments() if text in each["text"]]

    def callbacks(self, job_id: str) -> list[ReceivedCallback]:
        """The callbacks about a job that the receiver got."""
        return [
            each
            for each in self.stack.receiver.received()
            if each["event"]["data"]["job_id"] == job_id
        ]

    def wait_callbacks(
        self, job_id: str, count: int = 1, seconds: float = 30
    ) -> list[ReceivedCallback]:
        """The callbacks about a job, once there are at least `count`."""

        def enough() -> list[ReceivedCallback]:
            found = self.callbacks(job_id)
            return found if len(found) >= count else []

        return until(enough, seconds, f"{count} callbacks about {job_id}")
