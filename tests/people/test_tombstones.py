"""What an erased person's events are known by: nothing in the store confirms a guess of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from service.jobs.lua.erase_jobs import ErasableJob, erase_jobs
from service.jobs.model import JobDraft, Recognition, derived_id
from service.jobs.person_keys import PersonKeys
from service.jobs.replies import Acceptance
from tests.support.encryption import CIPHER, SECRET_KEY
from tests.support.invariants import audit
from tests.support.ledger import DAY, TIMES, Event, LedgerHarness, draft, open_ledger
from tests.support.people import erase
from tests.support.person_search import keys_about
from tests.support.unfinished_events import accept_first_step, many_drafts

MAIL, ORDER, CUSTOMER, INVOICE = "jenny@example.com", "order-1", "cus_1", "in_1"
KEYS = (MAIL, ORDER, CUSTOMER, INVOICE)
DATA, OTHER_DATA, FIRST_BODY, SECOND_BODY = "d" * 64, "e" * 64, "a" * 32, "b" * 32
EVENT = Event("evt_1", fingerprint=DATA)
NEW_SECRET = "another secret key for the tests, longer than thirty-two characters"


def plain(*keys: str, rule: str = "thank-you") -> list[str]:
    """The plain hashes of business keys, as whoever guesses one would compute them."""
    return [derived_id("once", rule, key) for key in keys]


def about(first: str, *fallbacks: str, **changes: Any) -> JobDraft:
    """A DM whose rule has these business keys."""
    return draft(once_key=first, once_fallbacks=fallbacks, **changes)


def accept(ledger: LedgerHarness, event: Event, *drafts: JobDraft, **seen: str) -> Acceptance:
    """Accept an event that is recognized by `seen`."""
    step = ledger.core.accept("stripe", event, drafts, body=b"{}", recognition=Recognition(**seen))
    return ledger.run(step)


def test_no_plain_hash_of_a_business_key_is_left(ledger: LedgerHarness) -> None:
    # Given a job that later events have given more keys
    (job_id,) = ledger.accept(EVENT, about(MAIL, ORDER)).jobs
    assert ledger.accept(Event("evt_2"), about(CUSTOMER, MAIL)).jobs == [job_id]
    assert ledger.accept(Event("evt_3"), about(INVOICE, CUSTOMER)).jobs == [job_id]
    assert all(keys_about(ledger.store, each) for each in plain(*KEYS))

    assert erase(ledger).done

    assert keys_about(ledger.store, *plain(*KEYS)) == []
    assert audit(ledger) == []


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("to", ["some.handle", "a.stranger"])
def test_another_event_about_the_same_thing_makes_no_second_dm_to_whomever(
    ledger: LedgerHarness, key: str, to: str
) -> None:
    (job_id,) = ledger.accept(EVENT, about(MAIL, ORDER)).jobs
    ledger.accept(Event("evt_2"), about(CUSTOMER, MAIL, INVOICE))
    erase(ledger)
    ledger.take_messages()

    later = Event("evt_3", fingerprint=OTHER_DATA)
    assert ledger.accept(later, about(key, to=to)) == Acceptance("accepted", "evt_3", [job_id])

    assert ledger.take_messages() == []
    # And nothing of that event confirms a guess either
    assert keys_about(ledger.store, *plain(*KEYS), OTHER_DATA) == []


def test_further_keys_of_later_events_lead_to_the_erased_job(ledger: LedgerHarness) -> None:
    (job_id,) = ledger.accept(EVENT, about(MAIL)).jobs
    erase(ledger)
    assert ledger.accept(Event("evt_2"), about(ORDER, MAIL)).jobs == [job_id]
    assert ledger.accept(Event("evt_3"), about(CUSTOMER, ORDER)).jobs == [job_id]
    assert keys_about(ledger.store, *plain(*KEYS)) == []


def test_another_rule_or_thing_is_not_the_erased_jobs(ledger: LedgerHarness) -> None:
    first = ledger.accept(EVENT, about(MAIL)).jobs
    erase(ledger)
    drafts = (about(ORDER), about(MAIL, rule="other", account="studio"))
    made = ledger.accept(Event("evt_2"), *drafts).jobs
    assert ledger.take_messages() == [*first, *made]


def test_erasing_one_of_two_persons_leaves_the_others_keys(ledger: LedgerHarness) -> None:
    both = (about(MAIL), about(ORDER, rule="other", to="a.friend", account="studio"))
    ids = ledger.accept(EVENT, *both).jobs
    erase(ledger)

    assert keys_about(ledger.store, DATA, *plain(MAIL)) == []
    assert keys_about(ledger.store, *plain(ORDER, rule="other"))
    for event in (EVENT, Event("evt_2")):
        assert ledger.accept(event, *both).jobs == ids
    # And when the other one is erased, too
    assert erase(ledger, "a.friend").jobs == 1
    assert keys_about(ledger.store, *plain(ORDER, rule="other")) == []
    assert ledger.accept(Event("evt_3"), *both).jobs == ids


def test_the_same_event_is_a_duplicate_whatever_its_rules_make_of_it_now(
    ledger: LedgerHarness,
) -> None:
    (job_id,) = accept(ledger, EVENT, draft(), shape="new").jobs
    accept(ledger, replace(EVENT, fingerprint=OTHER_DATA), draft(), shape="new")
    erase(ledger)
    assert keys_about(ledger.store, DATA, OTHER_DATA, OTHER_DATA[:12]) == []

    known = Acceptance("duplicate", "evt_1", [job_id])
    for shape in ("new", "old"):
        for event in (EVENT, replace(EVENT, type="other", fingerprint=OTHER_DATA)):
            assert accept(ledger, event, shape=shape) == known
            assert accept(ledger, event, draft(rule="added"), draft(), shape=shape) == known

    assert ledger.take_messages() == [job_id]
    assert keys_about(ledger.store, DATA, OTHER_DATA, OTHER_DATA[:12]) == []
    assert ledger.store.keys("hg:encbody:*") == []
    assert audit(ledger) == []


def test_an_event_without_a_shape_of_an_early_release_stays_known(ledger: LedgerHarness) -> None:
    (job_id,) = ledger.accept(EVENT, draft()).jobs
    ledger.store.hdel("hg:event:stripe:evt_1", "shape")
    erase(ledger)
    assert accept(ledger, EVENT, shape="new") == Acceptance("duplicate", "evt_1", [job_id])


def test_a_body_that_is_sent_again_as_another_event_makes_no_second_dm(
    ledger: LedgerHarness,
) -> None:
    # Given an event that two bodies have reported
    key = "k" * 32
    (job_id,) = accept(ledger, EVENT, draft(), event_key=key, body_key=FIRST_BODY).jobs
    accept(ledger, Event("evt_2"), draft(), event_key=key, body_key=SECOND_BODY)
    erase(ledger)
    assert keys_about(ledger.store, FIRST_BODY, SECOND_BODY) == []

    known = Acceptance("duplicate", "evt_1", [job_id])
    for body in (FIRST_BODY, SECOND_BODY):
        assert accept(ledger, Event("forged"), draft(), body_key=body) == known
    # And so is a third body that reports it now
    third = "c" * 32
    assert accept(ledger, Event("evt_3"), draft(), event_key=key, body_key=third) == known
    assert accept(ledger, Event("forged"), draft(), body_key=third) == known
    assert keys_about(ledger.store, FIRST_BODY, SECOND_BODY, third) == []
    assert accept(ledger, Event("evt_4"), draft(), body_key="f" * 32).jobs != [job_id]


def test_what_an_event_says_that_is_replayed_to_an_erased_job_is_forgotten(
    ledger: LedgerHarness,
) -> None:
    (job_id,) = ledger.accept(EVENT, about(MAIL)).jobs
    other = Event("evt_2", fingerprint=OTHER_DATA)
    accept(ledger, other, body_key=FIRST_BODY)
    erase(ledger)

    added = ledger.run(ledger.core.replay("stripe", "evt_2", [about(MAIL)], []))
    assert added == ([job_id], [], [])

    assert keys_about(ledger.store, OTHER_DATA, FIRST_BODY) == []
    forged = accept(ledger, Event("forged"), draft(), body_key=FIRST_BODY)
    assert forged == Acceptance("duplicate", "evt_2", [job_id])


def test_further_events_are_forgotten_as_long_as_they_are_kept(ledger: LedgerHarness) -> None:
    (job_id,) = ledger.accept(EVENT, about(MAIL)).jobs
    ledger.finish(ledger.claim_and_send(job_id))
    ledger.accept(Event("evt_2", fingerprint=OTHER_DATA), about(MAIL))
    ledger.pass_time(TIMES.keep_bodies + DAY)

    erase(ledger)

    assert keys_about(ledger.store, DATA, OTHER_DATA, *plain(MAIL)) == []


def test_keys_of_jobs_that_are_still_to_be_created_are_forgotten(ledger: LedgerHarness) -> None:
    drafts = [*many_drafts(60), about(MAIL, ORDER)]
    accept_first_step(ledger, EVENT, drafts, CIPHER)
    # Given another event that came in between, with one key more
    (job_id,) = ledger.accept(Event("evt_2"), about(CUSTOMER, MAIL)).jobs
    assert ledger.store.exists(f"hg:job:{job_id}") == 0

    assert erase(ledger).done

    assert keys_about(ledger.store, *plain(*KEYS)) == []
    assert ledger.accept(Event("evt_3"), about(CUSTOMER)).jobs == [job_id]


def test_an_erasure_that_has_not_read_of_a_key_is_begun_again(ledger: LedgerHarness) -> None:
    (job_id,) = ledger.accept(EVENT, about(MAIL)).jobs
    before = ledger.store.hgetall(f"hg:job:{job_id}")

    read_before = ErasableJob(job_id, "some.handle", "", "", "", new_names="{}")
    assert ledger.scripts.run(erase_jobs("api:test", read_before)) == ["changed"]

    assert ledger.store.hgetall(f"hg:job:{job_id}") == before
    assert erase(ledger).done


def test_a_job_of_an_earlier_release_keeps_its_plain_keys_and_its_promise(
    ledger: LedgerHarness,
) -> None:
    (job_id,) = ledger.accept(EVENT, about(MAIL)).jobs
    ledger.store.hdel(f"hg:job:{job_id}", "once")

    erase(ledger)

    assert ledger.accept(Event("evt_2"), about(ORDER, MAIL)).jobs == [job_id]
    assert ledger.accept(Event("evt_3"), about(ORDER)).jobs == [job_id]
    assert keys_about(ledger.store, *plain(ORDER)) == []


def test_a_tombstone_is_found_in_the_batch_that_has_left_it(ledger: LedgerHarness) -> None:
    # Given an erased job that is still found by a plain key, and no tombstone yet
    first = ledger.accept(EVENT, about(MAIL)).jobs
    [name] = ledger.store.keys("hg:once:*")
    erase(ledger)
    ledger.store.delete("hg:tombstones", *ledger.store.keys("hg:once:*"))
    ledger.store.set(name, first[0], px=TIMES.keep)
    events = [("evt_2", about(INVOICE)), ("evt_3", about(ORDER, MAIL)), ("evt_4", about(ORDER))]

    async def at_once() -> list[Acceptance]:
        core = ledger.core
        calls = (core.accept("stripe", Event(name), [made], body=b"{}") for name, made in events)
        return await asyncio.gather(*calls)

    new, *known = ledger.run(at_once())
    assert [each.jobs for each in known] == [first, first] != [new.jobs, new.jobs]


def test_tombstones_end_when_the_keys_would_have(ledger: LedgerHarness) -> None:
    def remembered(body: str) -> bool:
        return accept(ledger, Event(body), body_key=body).outcome == "duplicate"

    first = accept(ledger, EVENT, about(MAIL, delay_ms=20 * DAY), body_key=FIRST_BODY).jobs
    erase(ledger)
    ledger.pass_time(30 * DAY)
    accept(ledger, Event("evt_2"), about(ORDER), body_key=SECOND_BODY)
    erase(ledger)

    ledger.pass_time(11 * DAY)
    assert (remembered(FIRST_BODY), remembered(SECOND_BODY)) == (False, True)
    assert ledger.accept(Event("evt_3"), about(MAIL)).jobs == first
    ledger.pass_time(20 * DAY)
    assert ledger.accept(Event("evt_4"), about(MAIL)).jobs != first
    assert remembered(SECOND_BODY)
    ledger.pass_time(TIMES.keep)
    assert ledger.store.keys("hg:*#*") == ledger.store.keys("hg:tombstones") == []


@pytest.mark.parametrize("rotated_first", [True, False])
def test_tombstones_are_found_while_the_secret_key_is_rotated(
    store_url: str, ledger: LedgerHarness, *, rotated_first: bool
) -> None:
    rotating = replace(TIMES, person_keys=PersonKeys((NEW_SECRET, SECRET_KEY)))
    first = accept(ledger, EVENT, about(MAIL, ORDER), body_key=FIRST_BODY).jobs
    erase(ledger, config=rotating if rotated_first else None)

    with open_ledger(store_url, rotating) as rotated:
        assert rotated.accept(Event("evt_2"), about(CUSTOMER, MAIL)).jobs == first
        assert rotated.accept(Event("evt_3"), about(CUSTOMER)).jobs == first
        assert accept(rotated, Event("evt_4"), body_key=FIRST_BODY).outcome == "duplicate"
