"""`heliograph secret rotate`, and jobs that are still to be created or may be retried."""

from __future__ import annotations

import pytest

from service.cli import main
from service.encryption.cipher import Cipher
from service.jobs.model import Status
from tests.support.ledger import DAY, Event, LedgerHarness, open_ledger
from tests.support.limited_ledger import times_with_limits
from tests.support.rotation import MAY_GO, NEW, OLD, opened
from tests.support.unfinished_events import accept_first_step, many_drafts


def test_jobs_that_are_still_to_be_created_are_re_encrypted_too(
    old: LedgerHarness, store_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    reply = accept_first_step(old, Event("evt_1"), many_drafts(), Cipher.of(OLD))
    assert reply.acceptance is not None
    assert main(["secret", "rotate"]) == 0
    assert MAY_GO in capsys.readouterr().out
    with opened(store_url, NEW) as new:
        texts = {new.run(new.queries.job_text(job_id)) for job_id in reply.acceptance.jobs}
    assert texts == {"Thank you!"}


@pytest.mark.parametrize("hashed", [True, False])
def test_the_same_text_is_not_sent_again_so_soon_after_it_was_encrypted(
    environment: pytest.MonkeyPatch, store_url: str, *, hashed: bool
) -> None:
    # Given a DM without a rule that has failed under an older release, which kept no hash
    times = times_with_limits(repeat_ms=7 * DAY)
    with open_ledger(store_url, times, Cipher.of(OLD, enabled=False)) as older:
        failed = older.claim_and_send(older.add_job(rule=None))
        older.finish(failed, Status.FAILED)
        if not hashed:
            older.store.hdel(f"hg:job:{failed.id}", "text_hash")
    assert main(["secret", "rotate"]) == 0
    # When it is tried again, and then asked for once more
    with open_ledger(store_url, times, Cipher.of(NEW), first_event=100) as new:
        assert new.run(new.core.retry(failed.id, "api:test")) == "ok"
        new.finish(new.claim_and_send(failed.id))
        again = new.claim(new.add_job(rule=None))
        assert new.record_intent(again) == "refused"
        assert (new.record(again.id).error or {})["code"] == "recipient_repeated"
