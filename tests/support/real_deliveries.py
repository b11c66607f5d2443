"""Deliveries in the shapes that real senders use, each with where its shape was seen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Delivery:
    """One webhook as a sender makes it.

    Parameters:
      name: What is special about it.
      seen: The public document or source that shows this shape.
      scheme: How it is signed.
      body: The raw bytes.
      type: The event type that a rule has to name.
      about: The `id` (or another telling value) of `object` in templates.
      event_id: The header with the id, for the schemes that have one.
      source: The source that it is sent to; by default the scheme's own.
      headers: More headers.
    """

    name: str
    seen: str
    scheme: str
    body: bytes = field(repr=False)
    type: str
    about: object = None
    event_id: str = "dlv_1"
    source: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.scheme}: {self.name}"


def as_json(document: Mapping[str, Any]) -> bytes:
    """A document as most senders write it: without spaces, without escapes."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def as_form(document: Mapping[str, Any]) -> bytes:
    """A document in the field `payload` of a form."""
    return urlencode({"payload": as_json(document).decode()}).encode()
