"""What Instagram has been seen to reply, through the real client: each row names what follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import pytest
import redis

from deploy.local.instagram.client import FakeInstagram
from tests.instagram.replies import REPLIES
from tests.instagram.reply_rows import Row
from tests.support.fake_instagram import fake_instagram, fake_instagram_process
from tests.support.reply_worker import ReplyWorker, open_reply_worker

__all__ = ["fake_instagram", "fake_instagram_process"]


@pytest.fixture
def worker(
    store: redis.Redis, store_url: str, fake_instagram: FakeInstagram
) -> Iterator[ReplyWorker]:
    assert store.dbsize() == 0
    with open_reply_worker(store_url, fake_instagram) as worker:
        yield worker


@pytest.mark.parametrize("rows", REPLIES.values(), ids=REPLIES.keys())
def test_each_reply_has_the_consequence_of_its_row(
    worker: ReplyWorker, rows: Sequence[Row]
) -> None:
    outcomes = [(row, worker.outcome(row)) for row in rows]
    wrong = {row.name: (found, row.expected) for row, found in outcomes if found != row.expected}
    assert wrong == {}


def test_the_table_has_at_least_120_rows_with_names_and_sources_of_their_own() -> None:
    rows = [row for part in REPLIES.values() for row in part]
    assert len(rows) >= 120
    for part in REPLIES.values():
        assert max(Counter(row.name for row in part).values()) == 1
    assert all(row.source for row in rows)
