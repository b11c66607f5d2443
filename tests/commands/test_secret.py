"""`heliograph secret rotate`, and what `doctor` says about keys, beside a ledger in use."""

from __future__ import annotations

import hashlib
import itertools
from typing import Any

import pytest

from service.accounts.encryption import derive_keys
from service.accounts.session_store import SessionStore
from service.accounts.suppressions import Suppressions
from service.accounts.verification_codes import VerificationCodes
from service.cli import main
from service.commands.stored_keys import count_keys
from service.config.settings import load_settings
from service.encryption.cipher import Cipher
from service.encryption.stored_values import KeyCounts
from service.jobs.lua.replace_encrypted import replace_encrypted
from service.jobs.model import Status
from service.jobs.reencryption import StoredContents
from service.photos.photo import Photo, PhotoUrl
from service.time_formats.timestamps import rfc3339
from tests.support.invariants import audit
from tests.support.ledger import DAY, PERSON_KEYS, TIMES, Event, LedgerHarness, draft
from tests.support.people import erase
from tests.support.rotation import MAY_GO, NEW, OLD, opened

OTHER = "another key of thirty-two characters"
SETTINGS: dict[str, Any] = {"uuids": {"phone_id": "p-1"}, "cookies": {"sessionid": "s"}}
PHOTO = Photo(b"\xff\xd8 a photo", 3, 2, "ab" * 32)


def store_all(ledger: LedgerHarness, secret_key: str = OLD) -> tuple[str, str]:
    """Store a value of every kind; return the ids of a job with a text and one with a photo."""
    (text,) = ledger.accept(Event("evt_1"), draft(text="Thank you!"), body=b'{"n": 1}').jobs
    wanted = draft(rule=None, text="", photo=PHOTO, account="studio")
    step = ledger.core.create(wanted, caller="test", idempotency_key=None, request="r")
    cipher = derive_keys(secret_key)
    sessions = SessionStore(ledger.client, cipher)
    for version in range(3):
        ledger.run(sessions.save("shop", "shop", SETTINGS, version=version))
    ledger.run(VerificationCodes(ledger.client, cipher).put("shop", "123456"))
    return text, ledger.run(step).job_id


def assert_readable(ledger: LedgerHarness, secret_key: str, jobs: tuple[str, str]) -> None:
    text, photo = jobs
    assert ledger.run(ledger.queries.event_body("stripe", "evt_1")) == b'{"n": 1}'
    assert ledger.run(ledger.queries.job_text(text)) == "Thank you!"
    assert ledger.claim(text).text == "Thank you!"
    assert ledger.run(ledger.photos.load(ledger.claim(photo))) == PHOTO.jpeg
    cipher = derive_keys(secret_key)
    session = ledger.run(SessionStore(ledger.client, cipher).load("shop", "shop"))
    assert session is not None
    assert (session.settings, session.version) == (SETTINGS, 3)
    earlier: Any = ledger.store.lrange("hg:session:shop:earlier", 0, -1)
    assert len([cipher.decrypt(blob) for blob in earlier]) == 2
    code = ledger.run(VerificationCodes(ledger.client, cipher).take("shop"))
    assert code is not None
    assert code.code == "123456"


def versions(ledger: LedgerHarness, jobs: tuple[str, ...]) -> set[Any]:
    return {ledger.store.hget(f"hg:job:{job_id}", "v") for job_id in jobs}


def test_after_a_rotation_the_old_key_is_not_needed(
    old: LedgerHarness, store_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs = store_all(old)
    keys = ("hg:encbody:stripe:evt_1", f"hg:jobphoto:{jobs[1]}", "hg:code:shop")
    expiries: list[Any] = [old.store.pttl(key) for key in keys]
    assert main(["secret", "rotate"]) == 0
    assert capsys.readouterr().out == f"7 values re-encrypted\n{MAY_GO}"
    for key, before in zip(keys, expiries, strict=True):
        after: Any = old.store.pttl(key)
        assert before - 60_000 < after <= before
    assert audit(old) == []
    with opened(store_url, NEW) as ledger:
        assert_readable(ledger, NEW, jobs)
    # And there is nothing to do a second time
    assert main(["secret", "rotate"]) == 0
    assert capsys.readouterr().out == f"0 values re-encrypted\n{MAY_GO}"


def test_what_an_older_release_stored_is_encrypted(
    environment: pytest.MonkeyPatch, store_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(store_url, OLD, enabled=False) as ledger:
        jobs = store_all(ledger)
        assert versions(ledger, jobs) == {b"2"}
        assert main(["secret", "rotate"]) == 0
        assert b"Thank" not in ledger.store.get(f"hg:jobtext:{jobs[0]}")
        assert versions(ledger, jobs) == {b"3"}
    with opened(store_url, NEW) as ledger:
        assert_readable(ledger, NEW, jobs)


def test_everything_is_plain_for_an_older_release_after_a_rotation_without_encryption(
    old: LedgerHarness, store_url: str, environment: pytest.MonkeyPatch
) -> None:
    jobs = store_all(old)
    environment.setenv("ENCRYPT_AT_REST", "off")
    assert main(["secret", "rotate"]) == 0
    assert old.store.get(f"hg:jobtext:{jobs[0]}") == b"Thank you!"
    assert old.store.get(f"hg:jobphoto:{jobs[1]}") == PHOTO.jpeg
    assert versions(old, jobs) == {b"2"}
    with opened(store_url, NEW, enabled=False) as ledger:
        assert_readable(ledger, NEW, jobs)


@pytest.mark.parametrize("first", ["hg:jobtext:", "hg:jobphoto:"])
def test_a_job_is_left_to_this_release_as_long_as_anything_of_it_is_encrypted(
    old: LedgerHarness, first: str
) -> None:
    # Given a job with the URL of a photo, and the photo
    wanted = draft(rule=None, text="", photo=PhotoUrl("https://example.com/a.png"))
    step = old.core.create(wanted, caller="test", idempotency_key=None, request="r")
    job_id = old.run(step).job_id
    fetching = old.claim_fetch(job_id)
    assert fetching is not None
    assert old.store_photo(fetching, PHOTO)
    # When one of them is decrypted after the other
    second = {"hg:jobtext:": "hg:jobphoto:", "hg:jobphoto:": "hg:jobtext:"}[first]
    for prefix, version in ((first, b"3"), (second, b"2")):
        replace(old, f"{prefix}{job_id}", Cipher.of(OLD, enabled=False))
        assert versions(old, (job_id,)) == {version}
        claim = old.claim(job_id, f"after {prefix}")
        assert claim.text == "https://example.com/a.png"
        assert old.run(old.photos.load(claim)) == PHOTO.jpeg
        old.release(claim, Status.QUEUED, charge="free")


def replace(ledger: LedgerHarness, key: str, cipher: Cipher) -> Any:
    counts = KeyCounts()
    stored = StoredContents(ledger.client, TIMES, cipher)
    ledger.run(stored.count([key], counts, replace=True))
    return counts


def test_what_a_worker_has_claimed_is_not_changed_under_a_release_that_could_not_read_it(
    environment: pytest.MonkeyPatch, store_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(store_url, OLD, enabled=False) as older:
        jobs = store_all(older)
        claim = older.claim(jobs[1])
        assert main(["secret", "rotate"]) == 1
        assert "not encrypted: 1 photos" in capsys.readouterr().out
        assert older.store.get(f"hg:jobphoto:{jobs[1]}") == PHOTO.jpeg
        # When it has given the job back, it is
        older.release(claim, Status.WAITING, after_ms=DAY)
        assert main(["secret", "rotate"]) == 0


def test_a_newer_value_is_never_overwritten(old: LedgerHarness) -> None:
    jobs = store_all(old)
    for key, job_id in (("hg:encbody:stripe:evt_1", ""), (f"hg:jobtext:{jobs[0]}", jobs[0])):
        stored: Any = old.store.get(key)
        read = hashlib.sha1(stored).hexdigest()
        old.store.set(key, b"newer")
        call = replace_encrypted(key, read, key, b"older", job_id, "1")
        assert old.scripts.run(call) == "changed"
        assert old.store.get(key) == b"newer"
        # Nor is one brought back that is gone
        old.store.delete(key)
        assert old.scripts.run(call) == "changed"
        assert not old.store.exists(key)


def test_a_key_that_is_missing_is_named_and_nothing_is_lost(
    old: LedgerHarness,
    store_url: str,
    environment: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    jobs = store_all(old)
    environment.setenv("SECRET_KEY", f"{NEW},{OTHER}")
    for command in (["secret", "rotate"], ["doctor"]):
        assert main(command) == 1
        said = capsys.readouterr().out
        assert "encrypted with a key that SECRET_KEY does not have: " in said
        for kind in ("1 event bodies", "1 texts", "1 photos", "3 sessions", "1 verification codes"):
            assert kind in said
        assert MAY_GO not in said
    with opened(store_url, OLD) as ledger:
        assert_readable(ledger, OLD, jobs)


def test_doctor_counts_what_is_left_under_an_old_key(
    old: LedgerHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    store_all(old)
    main(["doctor"])
    said = capsys.readouterr().out
    assert "keys: encrypted under an old key of SECRET_KEY: " in said
    assert "1 texts" in said
    main(["secret", "rotate"])
    capsys.readouterr()
    main(["doctor"])
    assert "keys:" not in capsys.readouterr().out


def test_what_is_encrypted_under_the_old_key_meanwhile_is_left_and_said(
    old: LedgerHarness, capsys: pytest.CaptureFixture[str], environment: pytest.MonkeyPatch
) -> None:
    # Given a rotation that is over, and a process that still has the old key first
    assert main(["secret", "rotate"]) == 0
    old.add_job()
    # Then doctor says so, and another rotation takes it
    capsys.readouterr()
    main(["doctor"])
    assert "1 event bodies, 1 texts" in capsys.readouterr().out
    assert main(["secret", "rotate"]) == 0


@pytest.mark.parametrize("name", ["REDIS_URL", "SECRET_KEY", "HELIOGRAPH_CONFIG"])
def test_an_unusable_environment_is_named(
    environment: pytest.MonkeyPatch, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv(name, "no")
    environment.delenv("API_KEYS")
    assert main(["secret", "rotate"]) == 2
    assert name in capsys.readouterr().err


def test_a_store_that_does_not_answer_is_named(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    assert main(["secret", "rotate"]) == 1
    assert "Redis cannot be reached" in capsys.readouterr().err


def test_the_progress_is_told_in_slices(old: LedgerHarness, store_url: str) -> None:
    old.add_jobs(600, apart=True)
    told: list[tuple[int, int]] = []
    counting = count_keys(
        old.client,
        load_settings(),
        TIMES,
        replace=True,
        report=lambda looked, counts: told.append((looked, counts.replaced)),
        report_seconds=0,
    )
    counts = old.run(counting)
    assert len(told) > 5
    assert told == sorted(told)
    assert told[-1][1] == counts.replaced == 1_200
    assert max(after - before for (before, _), (after, _) in itertools.pairwise(told)) < 2_000


def test_the_old_key_stays_where_only_it_knows_whom_not_to_write_to(
    old: LedgerHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a person who must not be written to, and was erased since
    suppressions = Suppressions(old.client, PERSON_KEYS)
    old.run(suppressions.put("some.handle", account=None, reason="asked", by="crm"))
    assert main(["secret", "rotate"]) == 0
    assert MAY_GO in capsys.readouterr().out
    assert erase(old).done
    # Then a rotation does not say that the key may go
    assert main(["secret", "rotate"]) == 0
    said = capsys.readouterr().out
    assert "1 do-not-contact entries of erased persons" in said
    assert "keep it as the last one of SECRET_KEY" in said
    assert MAY_GO not in said


def test_the_old_key_stays_as_long_as_only_it_knows_what_was_done(
    old: LedgerHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    old.add_job(once_key="order 1")
    assert erase(old).done
    until: Any = old.store.pexpiretime("hg:tombstones")

    assert main(["secret", "rotate"]) == 0

    said = capsys.readouterr().out
    assert f"until {rfc3339(until)}, what was done for erased persons" in said
    assert MAY_GO not in said
    # And when that time is over, it may go
    old.pass_time(TIMES.keep + 1)
    assert main(["secret", "rotate"]) == 0
    assert MAY_GO in capsys.readouterr().out
