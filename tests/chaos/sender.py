"""Sends work as real senders do: again and again, until the web process acknowledges it."""

from __future__ import annotations

import hashlib
import json
import time
import urllib.error
from collections.abc import Callable
from typing import Any, Final

import httpx

from deploy.local.sender import Response, event, send
from deploy.local.stack import Stack

_PAUSE_SECONDS: Final = 0.1
#: Errors of a web process that is down, or goes down while it answers.
_UNAVAILABLE: Final = (urllib.error.URLError, OSError, json.JSONDecodeError, httpx.TransportError)


class NotAcknowledged(Exception):
    """The web process did not acknowledge a request; the message has its last answer."""


class ChaosSender:
    """Sends to the web process of a stack, or to another one beside it.

    Parameters:
      stack: The stack.
      url: The web process' URL, if it is not the stack's own.
      seconds: How long to keep trying.
    """

    def __init__(self, stack: Stack, url: str | None = None, seconds: float = 60) -> None:
        self._stack = stack
        self._url = url or stack.url
        self._seconds = seconds

    def deliver(self, document: dict[str, Any]) -> dict[str, Any]:
        """Send an event as Stripe does.

        Parameters:
          document: The event.

        Returns:
          The answer.
        """
        hook = f"{self._url}/webhooks/stripe"
        return self._send_until_acknowledged(
            f"event {document['id']}", lambda: send(hook, self._stack.webhook_secret, document)
        )

    def order(self, name: str, account: str) -> dict[str, Any]:
        """Create a DM that says ` {name}!`.

        Parameters:
          name: Determines the recipient and the idempotency key.
          account: The account that sends it.

        Returns:
          The job.
        """
        body = {
            "kind": "dm",
            "account": account,
            "to": handle_of(name),
            "text": f"Hello {name}!",
            "callback": "crm",
        }
        headers = {"Authorization": f"Bearer {self._stack.api_key}", "Idempotency-Key": name}

        def ask() -> Response:
            answer = httpx.post(f"{self._url}/jobs", json=body, headers=headers, timeout=15)
            return Response(answer.status_code, answer.json())

        return self._send_until_acknowledged(f"order {name}", ask)

    def order_photo(self, name: str, photo: bytes | str) -> dict[str, Any]:
        """Create a photo DM to the customer of an earlier order or payment.

        Parameters:
          name: The name of that order.
          photo: The file, or its URL.

        Returns:
          The job.
        """
        job = {"kind": "dm", "account": "shop", "to": handle_of(name), "callback": "crm"}
        bearer = f"Bearer {self._stack.api_key}"
        headers = {"Authorization": bearer, "Idempotency-Key": f"photo-{name}"}

        def ask() -> Response:
            request: dict[str, Any] = {"json": {**job, "photo": photo}}
            if isinstance(photo, bytes):
                request = {"data": {"job": json.dumps(job)}, "files": {"photo": photo}}
            answer = httpx.post(f"{self._url}/jobs", headers=headers, timeout=15, **request)
            return Response(answer.status_code, answer.json())

        return self._send_until_acknowledged(f"photo {name}", ask)

    def _send_until_acknowledged(self, what: str, ask: Callable[[], Response]) -> dict[str, Any]:
        deadline, last = time.monotonic() + self._seconds, "nothing"
        while time.monotonic() < deadline:
            try:
                answer = ask()
                if answer.status < 300:
                    return answer.body
                last = f"{answer.status} {answer.body}"
            except _UNAVAILABLE as error:
                last = repr(error)
            time.sleep(_PAUSE_SECONDS)
        raise NotAcknowledged(f"{what} was not acknowledged in {self._seconds:g} s; last: {last}")


def handle_of(name: str) -> str:
    """The handle of this name's own customer."""
    return f"c{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def paid_event(name: str) -> dict[str, Any]:
    """A paid checkout of the name's own customer, whose DM says ` {name}!`."""
    document = event("checkout.session.completed", id=f"evt_{name}")
    document["data"]["object"]["payment_intent"] = f"pi_{name}"
    document["data"]["object"]["customer_details"]["name"] = name
    document["data"]["object"]["custom_fields"][0]["text"]["value"] = handle_of(name)
    return document


def renewed_event(name: str, handle: str) -> dict[str, Any]:
    """A paid renewal, whose comment says `Welcome back, @{handle}!`."""
    document = event("invoice.paid", id=f"evt_{name}")
    parent = {"subscription_details": {"metadata": {"instagram": handle}}}
    document["data"]["object"]["parent"] = parent
    return document
