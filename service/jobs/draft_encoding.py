"""Job drafts in the form that the scripts read (`create_job` in lua/lib/create_job.lua)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any, Final

import orjson

from service.encryption import places
from service.encryption.cipher import Cipher
from service.jobs.model import JobDraft, derived_id
from service.jobs.person_keys import PersonKeys
from service.jobs.tombstone_names import TombstoneNames

#: What lua/lib/create_job.lua reserves an id by.
_DECIDING: Final = ("id", "delay", "run_at", "once", "once_kept", "once_endings")


def encode_event_draft(
    source: str, event_id: str, draft: JobDraft, person_keys: PersonKeys
) -> dict[str, Any]:
    rule = draft.rule or ""
    return encode_draft(
        derived_id("job", source, event_id, rule),
        draft,
        {"source": source, "event_id": event_id, "rule": draft.rule},
        person_keys,
    )


def encode_head(entry: dict[str, Any]) -> dict[str, Any]:
    """Encode what decides about an entry's id, with the whole entry in it as JSON.

    The script that accepts the event reads only this: to parse every entry would take it long.
    """
    head = {name: entry[name] for name in _DECIDING if name in entry}
    return head | {"entry": dumps(entry)}


def encode_draft(
    job_id: str, draft: JobDraft, source: dict[str, Any], person_keys: PersonKeys
) -> dict[str, Any]:
    """Encode a draft; None values are left out, because cjson's null is true in Lua."""
    entry: dict[str, Any] = {
        "id": job_id,
        "kind": draft.kind,
        "account": draft.account,
        "to": draft.to or "",
        "post": draft.post or "",
        "text": draft.text,
        "callback": draft.callback or "",
        "priority": draft.priority,
        "delay": draft.delay_ms,
        "metadata": "" if draft.metadata is None else dumps(draft.metadata),
        "source": orjson.dumps(source).decode(),
        **person_keys.entry(draft),
    }
    plain = {
        "run_at": draft.run_at_ms,
        "expires": draft.expires_ms,
        "expires_at": draft.expires_at_ms,
        "most": draft.max_rows,
        "readers": draft.candidate_accounts or None,
    }
    entry |= {name: value for name, value in plain.items() if value is not None}
    if draft.failure is not None:
        entry["error"] = dumps(asdict(draft.failure))
    if draft.dry_run:
        entry["dry"] = "1"
    if draft.once_key is not None:
        entry |= _once_keys(draft, draft.once_key, person_keys.tombstones)
    if draft.report is not None:
        entry["report"] = dumps(draft.report)
    if draft.photo is not None:
        entry |= draft.photo.entry()
    return entry


def encrypt_text(entry: dict[str, Any], cipher: Cipher) -> dict[str, Any]:
    """Encrypt the text of an encoded draft, if texts are encrypted.

    The scripts cannot tell what it says any more, so that they get what they need to tell it from
    others (`content_hash` in lua/lib/suppression.lua).
    """
    text = entry["text"]
    if not text or not cipher.enabled:
        return entry
    says = hashlib.sha1(entry.get("says", text).encode(), usedforsecurity=False).hexdigest()[:16]
    encrypted = cipher.encrypt_text(text, places.job_text(entry["id"]))
    return {**entry, "text": encrypted, "text_hash": says, "encrypted": True}


def _once_keys(draft: JobDraft, once_key: str, tombstones: TombstoneNames) -> dict[str, Any]:
    """The keys under which to look for an earlier job about the same thing, and to keep this one.

    Not all events about a thing have all of its business keys: the earlier job may have been
    created under one that this event has only as a fallback, or the other way round. An erased one
    is known by tombstones instead.
    """
    hashes = [
        derived_id("once", draft.rule or "", key) for key in (once_key, *draft.once_fallbacks)
    ]
    first, *fallbacks = hashes
    own, as_fallback = f"hg:once:{first}", f"hg:once:fallback:{first}"
    return {
        "once": [own, as_fallback, *(f"hg:once:{each}" for each in fallbacks)],
        "once_kept": [own, *(f"hg:once:fallback:{each}" for each in fallbacks)],
        "once_endings": [tombstones.endings(each) for each in hashes],
    }


#: One encoder for all calls: `json.dumps` would create one per call.
dumps: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
