"""Events whose acceptor has died after its first step: most jobs are still to be created."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from service.encryption.cipher import Cipher
from service.jobs.body_compression import BodyCompressor
from service.jobs.draft_encoding import encode_event_draft, encode_head, encrypt_text
from service.jobs.high_water_mark import HighWaterMark
from service.jobs.lua.accept_events import AcceptReply, accept_events
from service.jobs.lua.create_deferred_jobs import JOBS_AT_ONCE
from service.jobs.model import JobDraft
from tests.support.encryption import PLAIN
from tests.support.ledger import PERSON_KEYS, Event, LedgerHarness, draft

#: More jobs than three steps create.
COUNT = 3 * JOBS_AT_ONCE + 7


def many_drafts(count: int = COUNT, **changes: Any) -> list[JobDraft]:
    """The drafts of as many rules."""
    return [draft(rule=f"rule-{number}", **changes) for number in range(count)]


def accept_first_step(
    ledger: LedgerHarness,
    event: Event,
    drafts: Sequence[JobDraft],
    cipher: Cipher = PLAIN,
    **fields: Any,
) -> AcceptReply:
    """Accept an event as a process that dies after its first step does.

    Parameters:
      cipher: Encrypts the texts.
      fields: More fields of the envelope.
    """
    drafted = (encode_event_draft("stripe", event.id, each, PERSON_KEYS) for each in drafts)
    entries = [encrypt_text(entry, cipher) for entry in drafted]
    envelope = {
        "source": "stripe",
        "id": event.id,
        "type": event.type,
        "fingerprint": event.fingerprint,
        "livemode": "false",
        "status": "accepted",
        "notes": "[]",
        "jobs": entries[:JOBS_AT_ONCE],
        "deferred": [encode_head(entry) for entry in entries[JOBS_AT_ONCE:]],
        **fields,
    }
    call = accept_events(orjson.dumps(envelope), BodyCompressor().compress(b"{}"))
    # As GroupCommit sends it, which raises the process' high-water mark by it
    args = (*HighWaterMark("web").next_raise(), *call.args)
    return ledger.scripts.run(call._replace(args=args, parse=lambda each: call.parse(each[0])))
