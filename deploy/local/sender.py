"""Sends events as Stripe does, signed with the official library."""

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
    """A webhook response: the HTTP status and the JSON body."""

    status: int
    body: dict[str, Any]


def event(name: str, **changes: Any) -> dict[str, Any]:
    """Load an example event.

    Parameters:
      name: Its file name in `events/`, without `.json`.
      changes: Top-level fields to replace, such as `id`.
    """
    document: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return {**document, **changes}


def send(url: str, secret: str, document: dict[str, Any] | Path) -> Response:
    """Sign an event and post it.

    Parameters:
      url: The source's webhook URL.
      secret: The source's signing secret.
      document: The event, or a file that contains it.
    """
    raw = document.read_text() if isinstance(document, Path) else json.dumps(document)
    signature = WebhookSignature.generate_signature_header(raw, secret, int(time.time()))
    request = urllib.request.Request(
        url,
        raw.encode(),
        {"Content-Type": "application/json", "Stripe-Signature": signature},
    )
    try:
        with urllib.request.urlopen(request, timeout=15) as response:
            return Response(response.status, json.load(response))
    except urllib.error.HTTPError as error:
        with error:
            return Response(error.code, json.load(error))
