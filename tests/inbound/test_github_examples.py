"""Octokit's examples of GitHub's webhooks pass the door, in both of GitHub's encodings."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from tests.support.web import WebHarness

_FILE: Final = (
    Path(__file__).parents[1] / "fixtures" / "github" / "octokit-webhooks-examples.jsonl.gz"
)
EXAMPLES: Final[list[dict[str, Any]]] = [
    json.loads(line) for line in gzip.decompress(_FILE.read_bytes()).splitlines()
]

Encoding = Callable[[str], tuple[bytes, str]]

#: The two content types that a GitHub webhook can be set to; the form is the default.
ENCODINGS: Final[Mapping[str, Encoding]] = {
    "json": lambda body: (body.encode(), "application/json"),
    "form": lambda body: (
        urlencode({"payload": body}).encode(),
        "application/x-www-form-urlencoded",
    ),
}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS.keys())
def test_every_example_is_kept_as_what_it_is(web: WebHarness, encode: Encoding) -> None:
    for number, example in enumerate(EXAMPLES):
        # When
        body, content_type = encode(json.dumps(example["body"]))
        reply = web.deliver(
            "github",
            body,
            event_id=f"72d3162e-cc78-11e3-81ab-{number:012}",
            event_type=example["event"],
            headers={"Content-Type": content_type},
        )

        # Then
        about = (number, example["event"], reply.text)
        assert reply.status_code in (200, 202), about
        assert reply.json().get("quarantined") is None, about
        event = web.api.get(f"/events/{reply.json()['event_id']}").json()
        assert event["type"] == example["event"], about
        assert event["status"] != "quarantined", about


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS.keys())
def test_an_example_that_is_sent_again_is_a_duplicate(web: WebHarness, encode: Encoding) -> None:
    for example in EXAMPLES[::20]:
        body, content_type = encode(json.dumps(example["body"]))
        replies = [
            web.deliver(
                "github",
                body,
                event_id="72d3162e-cc78-11e3-81ab-4c9367dc0958",
                event_type=example["event"],
                headers={"Content-Type": content_type},
            ).json()
            for _ in range(2)
        ]
        assert [reply["duplicate"] for reply in replies] == [False, True], example["event"]
        assert replies[0]["event_id"] == replies[1]["event_id"]
