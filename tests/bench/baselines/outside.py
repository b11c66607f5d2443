"""The call that a webhook is about, made with the standard library's synchronous client."""

from __future__ import annotations

import os
import urllib.request

from tests.bench.baselines.serving import OUTSIDE


def call() -> None:
    """Call the outside server and wait for its response."""
    with urllib.request.urlopen(os.environ[OUTSIDE], timeout=30) as answer:
        answer.read()
