"""An account that was renamed in heliograph.toml is held: it neither logs in nor gets a device."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from deploy.local.instagram.client import FakeInstagram
from service.accounts.encryption import derive_keys
from service.accounts.session_store import SessionStore
from service.jobs.model import Status
from tests.support import fake_instagram as fixtures
from tests.support.account_worker import AccountWorker, open_account_worker
from tests.support.session_store import SECRET

fake_instagram_process = fixtures.fake_instagram_process
fake_instagram = fixtures.fake_instagram


@pytest.fixture
def worker(
    fake_instagram: FakeInstagram, store: redis.Redis, store_url: str
) -> Iterator[AccountWorker]:
    with open_account_worker(store_url, fake_instagram) as worker:
        yield worker


@pytest.mark.parametrize("moved", ["renamed", "copied"])
def test_a_session_under_another_accounts_name_is_a_hold_and_no_login(
    worker: AccountWorker, moved: str
) -> None:
    # Given the session of the same username under another name, or its row copied to this one
    sessions = SessionStore(worker.ledger.client, derive_keys(SECRET))
    settings = {"uuids": {"phone_id": "p-1"}}
    worker.ledger.run(sessions.save("boutique", "shop", settings, version=0))
    if moved == "copied":
        worker.ledger.store.copy("hg:session:boutique", "hg:session:shop")
    # When the account has a job
    job = worker.attempt(worker.ledger.add_job())
    # Then a person is asked, and Instagram is not
    assert job.status is Status.HELD
    assert worker.account()["hold"]["reason"] == "session_unreadable"
    assert worker.fake_instagram.log() == []
