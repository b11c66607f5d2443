"""A session is used by its own account and username only, whatever happens to names and rows."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest

from service.accounts.encryption import derive_keys
from service.accounts.session_store import SessionStore, SessionUnreadable
from tests.support.ledger import LedgerHarness
from tests.support.session_store import SECRET

SETTINGS: dict[str, Any] = {"uuids": {"phone_id": "p-1"}, "cookies": {"sessionid": "s"}}
CIPHER = derive_keys(SECRET)


@pytest.fixture
def sessions(ledger: LedgerHarness) -> SessionStore:
    store = SessionStore(ledger.client, CIPHER)
    ledger.run(store.save("shop", "the.shop", SETTINGS, version=0))
    return store


def _blob(ledger: LedgerHarness, account: str) -> bytes:
    blob: Any = ledger.store.hget(f"hg:session:{account}", "blob")
    return bytes(blob)


def _record(ledger: LedgerHarness, account: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(zlib.decompress(CIPHER.decrypt(_blob(ledger, account))))
    return record


def _store_unbound(ledger: LedgerHarness, account: str = "shop") -> bytes:
    """Store a session as 0.2.0 does."""
    record = {"username": "the.shop", "settings": SETTINGS}
    blob = CIPHER.encrypt(zlib.compress(json.dumps(record).encode()))
    ledger.store.hset(f"hg:session:{account}", mapping={"version": 1, "blob": blob})
    return blob


def _copy(ledger: LedgerHarness, origin: str, to: str) -> None:
    ledger.store.copy(f"hg:session:{origin}", f"hg:session:{to}", replace=True)


def test_a_session_copied_to_another_account_is_refused(
    ledger: LedgerHarness, sessions: SessionStore
) -> None:
    _copy(ledger, "shop", "studio")
    for username in ("the.shop", "the.studio"):
        with pytest.raises(SessionUnreadable, match=r"'studio'.* belongs to another account"):
            ledger.run(sessions.load("studio", username))
    assert ledger.run(sessions.load("shop", "the.shop"))


def test_an_account_with_another_username_does_not_get_the_session(
    ledger: LedgerHarness, sessions: SessionStore
) -> None:
    with pytest.raises(SessionUnreadable, match="belongs to another username"):
        ledger.run(sessions.load("shop", "the.other.shop"))


def test_accounts_that_exchange_their_names_are_both_refused(
    ledger: LedgerHarness, sessions: SessionStore
) -> None:
    ledger.run(sessions.save("studio", "the.studio", SETTINGS, version=0))
    for account, username in (("shop", "the.studio"), ("studio", "the.shop")):
        with pytest.raises(SessionUnreadable):
            ledger.run(sessions.load(account, username))


@pytest.mark.parametrize("index", ["hg:sessions", "hg:accts"])
def test_a_renamed_account_is_refused_and_told_its_old_name(
    ledger: LedgerHarness, sessions: SessionStore, index: str
) -> None:
    # Given an account that is known by its session, or, since an older release, by its jobs
    ledger.store.delete("hg:sessions", "hg:accts")
    ledger.store.sadd(index, "shop")
    # When it has another name
    assert ledger.run(sessions.load("boutique", "the.shop")) is None
    with pytest.raises(SessionUnreadable, match=r"'boutique'.*'shop'; rename the account back"):
        ledger.run(sessions.check_not_renamed("boutique", "The.Shop"))
    # Then another username's new account is not kept from its first login
    ledger.run(sessions.check_not_renamed("boutique", "the.boutique"))
    ledger.run(sessions.check_not_renamed("shop", "the.shop"))


def test_a_session_of_the_previous_release_is_read_and_then_bound(
    ledger: LedgerHarness, sessions: SessionStore
) -> None:
    _store_unbound(ledger)
    for _ in range(2):
        stored = ledger.run(sessions.load("shop", "the.shop"))
        assert stored is not None
        assert (stored.settings, stored.version) == (SETTINGS, 1)
        assert _record(ledger, "shop")["account"] == "shop"
    # And is of no use to another account from then on
    _copy(ledger, "shop", "studio")
    with pytest.raises(SessionUnreadable):
        ledger.run(sessions.load("studio", "the.shop"))


def test_an_unbound_session_of_another_username_is_not_bound(
    ledger: LedgerHarness, sessions: SessionStore
) -> None:
    blob = _store_unbound(ledger, "studio")
    with pytest.raises(SessionUnreadable):
        ledger.run(sessions.load("studio", "the.studio"))
    assert _blob(ledger, "studio") == blob


def test_binding_never_overwrites_what_a_worker_saved_meanwhile(
    ledger: LedgerHarness, sessions: SessionStore
) -> None:
    read = _store_unbound(ledger)
    ledger.run(sessions.save("shop", "the.shop", SETTINGS | {"mid": 2}, version=1))
    newer = _blob(ledger, "shop")
    ledger.run(sessions._bind("shop", read, {"username": "the.shop", "settings": SETTINGS}))
    assert _blob(ledger, "shop") == newer


def test_the_previous_release_reads_a_bound_session(
    ledger: LedgerHarness, sessions: SessionStore
) -> None:
    # 0.2.0 takes these two fields and ignores others
    record = _record(ledger, "shop")
    assert (record["username"], record["settings"]) == ("the.shop", SETTINGS)


def test_a_full_store_still_serves_an_unbound_session(
    ledger: LedgerHarness, sessions: SessionStore
) -> None:
    blob = _store_unbound(ledger)
    ledger.store.config_set("maxmemory", "1")
    try:
        assert ledger.run(sessions.load("shop", "the.shop")) is not None
    finally:
        ledger.store.config_set("maxmemory", "0")
    # And it is bound when there is room
    assert _blob(ledger, "shop") == blob
    ledger.run(sessions.load("shop", "the.shop"))
    assert _record(ledger, "shop")["account"] == "shop"
