"""docs/fake-instagram.md names every control call, and its examples work."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import pytest

from deploy.local.child_process import request_json
from deploy.local.instagram.challenges import CHALLENGE_KINDS
from deploy.local.instagram.client import FakeInstagram
from deploy.local.instagram.comment_settings import COMMENT_SETTINGS
from deploy.local.instagram.follower_lists import LISTINGS
from deploy.local.instagram.login_refusals import CHANNELS
from deploy.local.instagram.odd_fields import POST_SHAPES, USER_SHAPES
from deploy.local.instagram.recipient_settings import RECIPIENT_SETTINGS
from deploy.local.instagram.refusal import SHAPES
from deploy.local.instagram.relations import RELATIONS
from deploy.local.instagram.session_ends import SESSION_ENDS
from deploy.local.instagram.situations import SITUATIONS
from deploy.local.instagram.stored_text import TEXT_STYLES

PAGE: Final = (Path(__file__).parents[3] / "docs/fake-instagram.md").read_text()
EXAMPLES: Final = re.findall(r"\$CONTROL(/[\w/-]+) -d '(.*)'", PAGE)
NAMES: Final = {
    *CHALLENGE_KINDS,
    *COMMENT_SETTINGS,
    *CHANNELS,
    *LISTINGS,
    *POST_SHAPES,
    *RECIPIENT_SETTINGS,
    *RELATIONS,
    *SESSION_ENDS,
    *SHAPES,
    *TEXT_STYLES,
    *USER_SHAPES,
}


@pytest.mark.parametrize(
    ("path", "body"),
    EXAMPLES,
    ids=[f"{path} {number}" for number, (path, _) in enumerate(EXAMPLES)],
)
def test_an_example_is_accepted(fake_instagram: FakeInstagram, path: str, body: str) -> None:
    if path == "/challenges/approve":
        fake_instagram.challenge("shop", "was_it_me")

    request_json(fake_instagram.control_url, "POST", path, json.loads(body))


def test_every_name_is_on_the_page() -> None:
    assert [name for name in sorted(NAMES) if f"`{name}`" not in PAGE] == []


def test_every_call_that_changes_something_is_on_the_page() -> None:
    assert len(EXAMPLES) == 5
    changing = {path for method, path in SITUATIONS if method == "POST"}
    assert [path for path in sorted(changing) if f"`POST {path}`" not in PAGE] == []
