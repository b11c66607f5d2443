"""What a reply costs an account at its default pace, and how long it makes it wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import redis

from deploy.local.instagram.client import FakeInstagram
from service.config.pacing import DEFAULTS
from service.jobs.lua.limits import AccountLimits, Limits
from tests.instagram.reply_rows import Expected, Row, Where, fail, failed, item_ack
from tests.support.fake_instagram import fake_instagram, fake_instagram_process
from tests.support.ledger import SECOND, TIMES
from tests.support.limited_ledger import now_ms, spent_ms, wait_of
from tests.support.reply_worker import ReplyWorker, open_reply_worker

__all__ = ["fake_instagram", "fake_instagram_process"]

_HOUR = 3600
_SOURCE = "RFC 9110, section 10.2.3"


def test_a_recipient_who_takes_no_messages_costs_one_write_and_one_charge_at_the_default_pace(
    store: redis.Redis, store_url: str, fake_instagram: FakeInstagram
) -> None:
    paced = replace(TIMES, limits=Limits(default=AccountLimits(DEFAULTS)))
    body = item_ack("This may be due to their app version or other settings.")
    row = Row("settings", "dm", 403, body, failed("messages_refused"), "instagrapi issue 1240")
    assert store.dbsize() == 0
    with open_reply_worker(store_url, fake_instagram, paced) as worker:
        assert worker.outcome(row) == row.expected
        assert len(spent_ms(worker.ledger, "dm")) == 1
        assert len(spent_ms(worker.ledger, "dm_new_thread")) == 1


def wait_seconds(worker: ReplyWorker, where: Where, status: int, headers: Mapping[str, str]) -> int:
    """How long a job waits after its first attempt has met a reply, in whole seconds."""
    nothing_expected = Expected("", "")
    row = Row("a wait", where, status, fail(""), nothing_expected, _SOURCE, headers)
    job_id = worker.begin(row)
    due: Any = worker.ledger.store.zscore("hg:due", job_id)
    until = int(due) if due else wait_of(worker.ledger, job_id)[1]
    worker.drop(job_id)
    return round((until - now_ms(worker.ledger.store)) / SECOND)


@pytest.mark.parametrize(
    ("where", "status", "usual"),
    [("dm", 429, _HOUR // 4), ("profile", 429, _HOUR // 4), ("profile", 503, 5), ("dm", 503, 5)],
    ids=["a write, 429", "a read, 429", "a read, 503", "a write in doubt"],
)
def test_retry_after_lengthens_a_wait_within_bounds(
    store: redis.Redis,
    store_url: str,
    fake_instagram: FakeInstagram,
    where: Where,
    status: int,
    usual: int,
) -> None:
    assert store.dbsize() == 0
    asked = {
        "": usual,
        "1": usual,
        "7200": 2 * _HOUR,
        "99999999999999999999": 24 * _HOUR,
        "-5": usual,
        "soon": usual,
        "Wed, 21 Oct 2015 07:28:00 GMT": usual,
        "Fri, 01 Jan 2500 00:00:00 GMT": 24 * _HOUR,
    }
    with open_reply_worker(store_url, fake_instagram) as worker:
        waits = {
            value: wait_seconds(worker, where, status, {"Retry-After": value}) for value in asked
        }
    for value, seconds in asked.items():
        assert seconds - 2 <= waits[value] <= seconds * 1.2 + 2, (value, waits[value])
