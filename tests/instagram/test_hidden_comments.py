"""Comments that only their author sees, and whose reply was lost: found, never posted again."""

from __future__ import annotations

import pytest
import redis

from deploy.local.instagram.client import FakeInstagram
from tests.instagram.reply_rows import FOUND, Row, fail
from tests.support.fake_instagram import fake_instagram, fake_instagram_process
from tests.support.reply_worker import open_reply_worker

__all__ = ["fake_instagram", "fake_instagram_process"]

_POST = 3_700_000_000_000_000_001


@pytest.mark.parametrize("setting", ["hidden", "held_for_review"])
def test_a_lost_comment_that_only_its_author_sees_is_found(
    store: redis.Redis, store_url: str, fake_instagram: FakeInstagram, setting: str
) -> None:
    assert store.dbsize() == 0
    fake_instagram.add_media("jenny.rosen", _POST, comments=setting)
    lost = Row("lost", "comment", 500, fail("no"), FOUND, "instagrapi issue 1305", stored=True)
    with open_reply_worker(store_url, fake_instagram) as worker:
        assert worker.outcome(lost) == FOUND
    assert len(fake_instagram.comments()) == 1
