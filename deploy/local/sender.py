"""Sends events as Stripe would: the official library signs them."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stripe import WebhookSignature

from deploy.local.procfile import ROOT

EVENTS: Final = ROOT / "deploy" / "local" / "events"


@dataclass(frozen=True)
class Response:
    """What the door answered.

    Parameters:
      status: The HTTP status.
      body: The JSON.
    """

    status: int
    body: dict[str, Any]


def event(name: str, **changes: Any) -> dict[str, Any]:
    """A real-shaped Stripe event.

    Parameters:
      name: Its file's name in `events/`, without `.json`.
      changes: Top-level fields to change, such as `id`.
    """
    document: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return {**document, **changes}


def send(url: str, secret: str, document: dict[str, Any] | Path) -> Response:
    """Sign an event and post it.

    Parameters:
      url: The source's address.
      secret: Its signing secret.
      document: The event, or a file with one.
    """
    raw = document.read_text() if isinstance(document, Path) else json.dumps(document)
    signature = WebhookSignature.generate_signature_header(raw, secret, int(time.time()))
    request = urllib.request.Request(
        url,
        raw.encode(),
        {"Content-Type": "application/json", "Stripe-Signature": signature},
    )
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            return Response(answer.status, json.load(answer))
    except urllib.error.HTTPError as refused:
        with refused:
            return Response(refused.code, json.load(refused))
