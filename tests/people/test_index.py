"""Jobs are found by the person they are about, whatever name that has and who has listed them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from service.accounts.user_id_cache import UserIdCache
from service.jobs.model import JobDraft, Status
from service.jobs.person_keys import PersonKeys, mentioned, names_shown
from tests.support.consistency import assert_repairable
from tests.support.encryption import SECRET_KEY
from tests.support.follower_rows import add_export, append_page
from tests.support.invariants import audit
from tests.support.ledger import (
    DAY,
    HOUR,
    PERSON_KEYS,
    SECOND,
    TIMES,
    Event,
    LedgerHarness,
    draft,
    open_ledger,
)
from tests.support.lookups import LookupHarness
from tests.support.people import complete_index, erase, job_ids, show
from tests.support.person_search import keys_about

PK = "3141592653"
NEW_SECRET = "another secret key for the tests, longer than thirty-two characters"


def forget_persons(ledger: LedgerHarness, *ids: str) -> None:
    """Make jobs as a release before 0.3 has stored them: listed under nobody."""
    for job_id in ids:
        ledger.store.hdel(f"hg:job:{job_id}", "who")
    for key in ledger.store.keys("hg:who:*"):
        ledger.store.zrem(key, *ids)


def test_no_key_of_the_store_has_a_name_in_it(ledger: LedgerHarness) -> None:
    ledger.claim_and_send(ledger.add_job())

    assert not [key for key in keys_about(ledger.store, "some.handle") if "some" in key]
    assert len(ledger.store.keys("hg:who:*")) == 2


def test_a_job_is_found_by_username_and_by_id(ledger: LedgerHarness) -> None:
    by_name, by_id = ledger.add_job(), ledger.add_job(account="studio", to=PK)
    assert ledger.record_intent(ledger.claim(by_name), pk=PK) == "ok"

    for asked in ("some.handle", f"pk:{PK}"):
        page = show(ledger, asked)
        assert job_ids(page) == [by_id, by_name]
        assert sorted(page["person"]["names"]) == [f"pk:{PK}", "some.handle"]


def test_a_username_of_digits_is_no_id(ledger: LedgerHarness) -> None:
    by_name, by_id = ledger.add_job(to="@123"), ledger.add_job(account="studio", to="123")

    assert job_ids(show(ledger, "123")) == [by_name]
    assert job_ids(show(ledger, "pk:123")) == [by_id]


def test_a_username_that_passed_to_somebody_else_does_not_link_the_two(
    ledger: LedgerHarness,
) -> None:
    # Given a username under which two users were written to, and more to each by id
    for account, pk in (("shop", "1"), ("studio", "2")):
        job_id = ledger.add_job(account=account)
        assert ledger.record_intent(ledger.claim(job_id), pk=pk) == "ok"
    ledger.add_job(account="depot", to="1")

    page = show(ledger)

    assert page["person"] == {
        "asked": "some.handle",
        "names": ["some.handle"],
        "other_ids": ["pk:1", "pk:2"],
    }
    assert len(page["items"]) == 2
    assert len(show(ledger, "pk:1")["items"]) == 2


def test_a_comment_is_about_those_whom_it_mentions(ledger: LedgerHarness) -> None:
    comment = ledger.add_job(
        kind="comment", to=None, post="Cx", text="Well done @Some.Handle! Mail me@example.com."
    )

    assert job_ids(show(ledger)) == [comment]
    assert job_ids(show(ledger, "example.com")) == []
    assert mentioned("@a.b. and @c_d, not x@e.f") == ["a.b", "c_d"]


def test_jobs_leave_the_index_when_they_are_pruned(ledger: LedgerHarness) -> None:
    ledger.finish(ledger.claim_and_send(ledger.add_job(callback=None)))
    assert ledger.store.keys("hg:who:*")

    ledger.pass_time(TIMES.keep + SECOND)
    ledger.run(ledger.core.prune())

    assert ledger.store.keys("hg:who:*") == []


def test_jobs_of_an_older_release_are_listed_when_they_are_asked_for(
    ledger: LedgerHarness,
) -> None:
    old, sent = ledger.add_job(), ledger.claim_and_send(ledger.add_job(account="studio")).id
    forget_persons(ledger, old, sent)

    assert job_ids(show(ledger)) == [sent, old]
    assert complete_index(ledger) == 0
    assert audit(ledger) == []


def test_the_names_in_audit_entries_of_an_older_release_are_erased(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    entry: dict[Any, Any] = {
        "decision": "send",
        "why": "",
        "by": "worker",
        "account": "shop",
        "job": job_id,
    }
    ledger.store.xadd("hg:audit", {**entry, "to": "some.handle", "pk": PK})
    ledger.store.xadd("hg:audit", {**entry, "to": "somebody.else", "pk": "1"})
    forget_persons(ledger, job_id)

    assert erase(ledger).audit_entries == 1
    assert keys_about(ledger.store, "some.handle", PK) == []
    assert keys_about(ledger.store, "somebody.else") == ["hg:audit"]


def test_the_doctor_lists_what_an_index_lacks(ledger: LedgerHarness) -> None:
    job_id = ledger.add_job()
    key: Any
    [key] = ledger.store.keys("hg:who:*")
    ledger.store.delete(key)
    ledger.store.zadd("hg:who:00000000000000000000", {job_id: 1})

    assert_repairable(
        ledger,
        (job_id, "not indexed", key.decode()),
        (job_id, "wrong index", "hg:who:00000000000000000000"),
    )


def test_persons_are_found_while_the_secret_key_is_rotated_and_after(
    store_url: str, ledger: LedgerHarness
) -> None:
    # Given a job from before the rotation, and one from within it
    before = ledger.add_job()
    rotating = replace(TIMES, person_keys=PersonKeys((NEW_SECRET, SECRET_KEY)))
    with open_ledger(store_url, rotating) as other:
        within = other.accept(Event("evt_new"), draft(account="studio")).jobs[0]

    # Then both are found with either setting, and with the new one alone once all are listed
    assert job_ids(show(ledger, config=rotating)) == [within, before]
    rotated = replace(TIMES, person_keys=PersonKeys((NEW_SECRET,)))
    assert job_ids(show(ledger, config=rotated)) == [within, before]
    assert len(ledger.store.keys("hg:who:*")) == 1


def test_a_profile_that_was_looked_up_is_found_and_erased(ledger: LedgerHarness) -> None:
    lookups = LookupHarness(ledger, "shop")
    job_id = lookups.request_new("some.handle")
    profile = {"pk": PK, "username": "some.handle", "full_name": "Jenny Rosen", "owner": None}
    del profile["owner"]
    step = ledger.claims.finish(ledger.claim(job_id), Status.SUCCEEDED, result=profile)
    ledger.run(step)
    ledger.pass_time(DAY + HOUR)  # the job goes, and the copy stays
    ledger.run(ledger.core.prune())

    page = show(ledger, f"pk:{PK}")

    assert page["items"] == []
    assert [cache["content"] for cache in page["caches"]] == [profile]
    assert erase(ledger, f"pk:{PK}").caches == 1
    assert keys_about(ledger.store, "some.handle", PK, "Jenny") == []


def test_a_post_is_about_its_owner() -> None:
    post = {"pk": "1", "code": "Cx", "owner": {"pk": PK, "username": "Some.Handle"}}

    assert names_shown(post) == ["some.handle", f"pk:{PK}"]
    assert names_shown({**post, "owner": None}) == []


def test_a_username_that_only_a_cache_shows_leads_to_the_id(ledger: LedgerHarness) -> None:
    cache = UserIdCache(ledger.client, PERSON_KEYS)
    ledger.run(cache.remember("old.name", PK, "some.handle", account="shop"))

    page = show(ledger, f"pk:{PK}")

    assert page["person"]["names"] == [f"pk:{PK}", "some.handle"]
    assert {cache["key"] for cache in page["caches"]} == {
        "hg:pk:some.handle",
        "hg:known:some.handle",
    }
    assert erase(ledger).done
    assert keys_about(ledger.store, "some.handle", PK) == []


@pytest.mark.parametrize("asked", ["jenny", f"pk:{PK}"])
def test_a_row_in_somebody_elses_export_is_emptied(ledger: LedgerHarness, asked: str) -> None:
    job_id = add_export(ledger, to="somebody.else")
    row: dict[str, Any] = {"pk": PK, "username": "Jenny", "full_name": "Jenny Rosen"}
    others = [{"pk": str(n), "username": f"u{n}", "full_name": f"U {n}"} for n in range(1, 4)]
    append_page(ledger, ledger.claim(job_id), cursor="0")
    append_page(ledger, ledger.claim(job_id), [*others[:2], row, others[2]], cursor="1")

    assert erase(ledger, asked).rows == 1

    assert keys_about(ledger.store, "jenny", PK) == []
    assert keys_about(ledger.store, "u3")
    assert append_page(ledger, ledger.claim(job_id), [{**row, "pk": "9"}]) == "succeeded"
    assert ledger.record(job_id).users == 5
    assert audit(ledger) == []


def test_an_export_of_the_persons_followers_goes_with_its_rows(ledger: LedgerHarness) -> None:
    job_id = add_export(ledger)
    append_page(ledger, ledger.claim(job_id), cursor="0")
    append_page(ledger, ledger.claim(job_id), [{"pk": "1", "username": "u1"}])

    assert erase(ledger).jobs == 1
    assert ledger.store.keys("hg:rows:*") == []
    assert keys_about(ledger.store, "some.handle") == []


def test_a_draft_names_at_most_three_persons() -> None:
    text = "@one @two @three @four"
    comment = JobDraft(kind="comment", account="shop", to=None, post="Cx", text=text)

    keys = [PERSON_KEYS.key(name) for name in ("one", "two", "three")]
    assert PERSON_KEYS.of_draft(comment) == " ".join(keys)
