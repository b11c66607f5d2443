"""Bodies, texts and photos in the ledger: encrypted, bound to their places, plain on demand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from service.encryption.cipher import Cipher, Unreadable
from service.jobs.lua.limits import Limits
from service.jobs.model import Recognition, Status
from service.photos.photo import Photo, PhotoUrl
from tests.support.encryption import CIPHER, PLAIN, SECRET_KEY, stored_text
from tests.support.invariants import audit
from tests.support.ledger import DAY, FAILURE, TIMES, Event, LedgerHarness, draft, open_ledger
from tests.support.store_dump import plain_values

WORDS = ("Zanzibar", "Ouagadougou", "Kuala Lumpur")
BODY = f'{{"name": "{WORDS[0]}"}}'.encode()
TEXT = f"Thank you, {WORDS[1]}!"
PHOTO = Photo(f"\xff\xd8 {WORDS[2]}".encode("latin-1"), 3, 2, "ab" * 32)
EVENT = Event("evt_1", fingerprint="a" * 64)
OTHER_KEY = Cipher.of("another secret key of thirty-two characters")


def _photo_job(ledger: LedgerHarness, photo: Photo | PhotoUrl = PHOTO) -> str:
    wanted = draft(rule=None, text="", photo=photo, account="studio")
    step = ledger.core.create(wanted, caller="test", idempotency_key=None, request="r")
    return ledger.run(step).job_id


def _version(ledger: LedgerHarness, job_id: str) -> Any:
    return ledger.store.hget(f"hg:job:{job_id}", "v")


def test_no_key_of_the_store_has_a_word_of_them(ledger: LedgerHarness) -> None:
    (job_id,) = ledger.accept(EVENT, draft(text=TEXT), body=BODY).jobs
    _photo_job(ledger)
    found = plain_values(ledger.store)
    assert [word for word in WORDS if word in found] == []
    assert ledger.run(ledger.queries.event_body("stripe", "evt_1")) == BODY
    assert ledger.run(ledger.queries.job_text(job_id)) == TEXT
    assert ledger.claim(job_id).text == TEXT
    assert audit(ledger) == []


def test_older_releases_leave_encrypted_jobs_alone(ledger: LedgerHarness) -> None:
    assert _version(ledger, ledger.add_job()) == b"3"
    assert _version(ledger, _photo_job(ledger)) == b"3"
    assert _version(ledger, ledger.add_job(kind="followers", text="")) == b"2"


def test_a_photo_that_is_encrypted_later_keeps_older_releases_away_too(
    ledger: LedgerHarness, store_url: str
) -> None:
    # Given a job with the URL of a photo, accepted by an older release
    with open_ledger(store_url, TIMES, PLAIN) as older:
        job_id = _photo_job(older, PhotoUrl("https://example.com/a.png"))
        assert _version(older, job_id) == b"2"
    # When this release fetches the photo
    claim = ledger.claim_fetch(job_id)
    assert claim is not None
    assert ledger.store_photo(claim, PHOTO)
    # Then the job is this release's, and its URL is read as it was stored
    assert _version(ledger, job_id) == b"3"
    claimed = ledger.claim(job_id)
    assert claimed.text == "https://example.com/a.png"
    assert ledger.run(ledger.photos.load(claimed)) == PHOTO.jpeg


def test_what_an_older_release_accepted_is_read(ledger: LedgerHarness, store_url: str) -> None:
    # A plain text may look like an encrypted one
    for text in (TEXT, CIPHER.encrypt_text("x", b"y")):
        with open_ledger(store_url, TIMES, PLAIN) as older:
            event = Event(f"evt_{len(text)}", fingerprint="b" * 64)
            (job_id,) = older.accept(event, draft(text=text), body=BODY).jobs
        assert ledger.run(ledger.queries.event_body("stripe", event.id)) == BODY
        assert ledger.run(ledger.queries.job_text(job_id)) == text
        claim = ledger.claim(job_id)
        assert claim.text == text
        assert ledger.finish(claim)


def test_nothing_is_encrypted_where_that_is_switched_off(store_url: str, store: object) -> None:
    with open_ledger(store_url, TIMES, PLAIN) as plain:
        (job_id,) = plain.accept(EVENT, draft(text=TEXT), body=b"[]").jobs
        photo_id = _photo_job(plain)
        assert plain.store.get(f"hg:jobtext:{job_id}") == TEXT.encode()
        assert plain.store.get(f"hg:jobphoto:{photo_id}") == PHOTO.jpeg
        assert {_version(plain, each) for each in (job_id, photo_id)} == {b"2"}
    # And what was encrypted before is still read
    with open_ledger(store_url) as on:
        (other,) = on.accept(Event("evt_2"), draft(text=TEXT, account="x")).jobs
    with open_ledger(store_url, TIMES, PLAIN) as plain:
        assert plain.claim(other).text == TEXT


def test_a_text_moved_to_another_job_is_unreadable(ledger: LedgerHarness) -> None:
    one, other = (ledger.add_job(account=name, text=f"For {name}") for name in ("a", "b"))
    ledger.store.copy(f"hg:jobtext:{one}", f"hg:jobtext:{other}", replace=True)
    assert ledger.claim(other).readable_text is None
    assert ledger.claim(one).text == "For a"


def test_a_photo_moved_to_another_job_is_unreadable(ledger: LedgerHarness) -> None:
    one, other = _photo_job(ledger), _photo_job(ledger)
    ledger.store.copy(f"hg:jobphoto:{other}", f"hg:jobphoto:{one}", replace=True)
    with pytest.raises(Unreadable):
        ledger.run(ledger.photos.load(ledger.claim(one)))


def test_a_body_moved_to_another_event_is_unreadable(ledger: LedgerHarness) -> None:
    ledger.accept(EVENT, body=BODY)
    ledger.accept(replace(EVENT, id="evt_2"), body=b"{}")
    ledger.accept(replace(EVENT), body=BODY, source="paddle")
    for member in ("stripe:evt_2", "paddle:evt_1"):
        ledger.store.copy("hg:encbody:stripe:evt_1", f"hg:encbody:{member}", replace=True)
        with pytest.raises(Unreadable):
            ledger.run(ledger.queries.event_body(*member.split(":")))


def test_without_its_key_a_text_is_never_taken_for_another(
    ledger: LedgerHarness, store_url: str
) -> None:
    job_id = ledger.add_job(text=TEXT)
    with open_ledger(store_url, TIMES, OTHER_KEY) as stranger:
        claim = stranger.claim(job_id)
        assert claim.readable_text is None
        for read in (lambda: claim.text, claim.check_readable):
            with pytest.raises(Unreadable, match=job_id):
                read()
        with pytest.raises(Unreadable):
            stranger.run(stranger.queries.job_text(job_id))


def test_every_body_of_a_conflicting_or_reshaped_event_is_read(ledger: LedgerHarness) -> None:
    ledger.accept(EVENT, body=BODY)
    conflict = ledger.accept(replace(EVENT, fingerprint="c" * 64), body=b'{"other": 1}')
    assert conflict.outcome == "conflict"
    body = ledger.run(ledger.queries.event_body("stripe", conflict.event_id))
    assert body == b'{"other": 1}'
    assert ledger.run(ledger.queries.event_body("stripe", "evt_1")) == BODY


def test_a_job_made_in_place_of_a_rejected_one_has_its_text(ledger: LedgerHarness) -> None:
    # Given an event whose job was rejected at creation
    failed = draft(failure=FAILURE, text="")
    accepted = _accept(ledger, EVENT, failed, "thin")
    # When another shape of it makes the job, under another id
    again = _accept(ledger, replace(EVENT, fingerprint="b" * 64), draft(text=TEXT), "snapshot")
    (job_id,) = set(again.jobs) - set(accepted.jobs)
    # Then its text and the event's new body are read
    assert stored_text(ledger.store, job_id) == TEXT
    assert ledger.claim(job_id).text == TEXT
    assert ledger.run(ledger.queries.event_body("stripe", "evt_1")) == BODY


def _accept(
    ledger: LedgerHarness, event: Event, wanted: Any, shape: str, *, body: bytes = BODY
) -> Any:
    note = {"rule": "thank-you", "outcome": "matched", "message": None}
    step = ledger.core.accept(
        "stripe", event, [wanted], body=body, notes=[note], recognition=Recognition(shape)
    )
    return ledger.run(step)


@pytest.mark.parametrize("retried", [False, True])
def test_a_recipient_gets_the_same_text_once_whether_encrypted_or_not(
    store_url: str, store: object, retried: bool
) -> None:
    times = replace(TIMES, limits=Limits(repeat_ms=DAY))
    # Given a text that an older release has sent
    with open_ledger(store_url, times, PLAIN) as plain:
        (sent,) = plain.accept(Event("evt_sent"), draft(rule=None, text=TEXT)).jobs
        assert plain.finish(plain.claim_and_send(sent))
    with open_ledger(store_url, times) as ledger:
        job_id = ledger.add_job(rule=None, text=TEXT)
        if retried:
            assert ledger.finish(ledger.claim(job_id), Status.FAILED)
            assert ledger.run(ledger.core.retry(job_id, "test")) == "ok"
        # Then this one does not send it again, in any run, and sends another
        assert ledger.record_intent(ledger.claim(job_id)) == "refused"
        other = ledger.add_job(rule=None, text="Something else")
        assert ledger.record_intent(ledger.claim(other)) == "ok"


def test_the_secret_key_is_not_in_the_store(ledger: LedgerHarness) -> None:
    ledger.add_job()
    assert SECRET_KEY not in plain_values(ledger.store)


def test_an_encrypted_body_is_no_body_to_an_older_release(ledger: LedgerHarness) -> None:
    ledger.accept(EVENT, body=BODY)
    assert not ledger.store.exists("hg:eventbody:stripe:evt_1")


def test_the_body_of_another_shape_replaces_one_stored_in_the_other_way(
    store_url: str, store: object
) -> None:
    thin, snapshot = EVENT, replace(EVENT, fingerprint="b" * 64)
    for first, second in ((PLAIN, CIPHER), (CIPHER, PLAIN)):
        with open_ledger(store_url, TIMES, first) as ledger:
            ledger.store.flushdb()
            _accept(ledger, thin, draft(failure=FAILURE, text=""), "thin", body=b"[0]")
        with open_ledger(store_url, TIMES, second) as ledger:
            _accept(ledger, snapshot, draft(), "snapshot", body=b"[1]")
            assert ledger.run(ledger.queries.event_body("stripe", "evt_1")) == b"[1]"
            assert len(ledger.store.keys("hg:e*body:*")) == 1
