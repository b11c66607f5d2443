"""The log says once per source that a secret is not what the specification says."""

from __future__ import annotations

from dataclasses import replace

import pytest
import redis

from service.api import webhooks
from tests.support.real_deliveries import as_json
from tests.support.real_senders import SOURCES, send
from tests.support.standard_webhooks_deliveries import STANDARD_WEBHOOKS
from tests.support.web import WebHarness

POLAR = next(each for each in STANDARD_WEBHOOKS if each.source == "polar")
SUPABASE = next(each for each in STANDARD_WEBHOOKS if each.source == "supabase")


@pytest.fixture(autouse=True)
def _nothing_logged_yet() -> None:
    webhooks._log_reading.cache_clear()


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if "webhook secret" in line]


def test_a_secret_that_was_meant_as_text_is_logged_once(
    web: WebHarness, store: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        body = as_json({"type": "order.paid", "data": {"n": number}})
        assert send(web, replace(POLAR, body=body, event_id=f"msg_{number}")).status_code == 202

    (line,) = lines(capsys)
    assert "read_as=text" in line.replace("'", "")
    assert "source=polar" in line
    assert SOURCES["polar"][1] not in line


def test_a_secret_as_specified_is_not_logged(
    web: WebHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    assert send(web, SUPABASE).status_code == 202
    assert lines(capsys) == []
