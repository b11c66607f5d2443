"""Job drafts in the form that the scripts read (`create_job` in lua/lib/create_job.lua)."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any, Final

import orjson

from service.encryption import places
from service.encryption.cipher import Cipher
from service.jobs.model import JobDraft, derived_id
from service.jobs.person_keys import PersonKeys
from service.jobs.tombstone_names import TombstoneNames

#: What lua/lib/create_job.lua reserves an id by.
_ONCE: Final = ("once", "once_kept", "once_erased", "once_tombstones")
_DECIDING: Final = ("id", "delay", "run_at", *_ONCE)


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
    if draft.run_at_ms is not None:
        entry["run_at"] = draft.run_at_ms
    if draft.expires_ms is not None:
        entry["expires"] = draft.expires_ms
    if draft.expires_at_ms is not None:
        entry["expires_at"] = draft.expires_at_ms
    if draft.max_rows is not None:
        entry["most"] = draft.max_rows
    if draft.candidate_accounts:
        entry["readers"] = draft.candidate_accounts
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
    is found by tombstones, and gets more of them.
    """
    plain = [derived_id("once", draft.rule or "", key) for key in (once_key, *draft.once_fallbacks)]
    erased = [tombstones.endings(each) for each in plain]
    current = [endings[0] for endings in erased]
    return {
        "once": _looked_for(plain[:1], plain[1:]),
        "once_kept": _kept(plain),
        "once_erased": _looked_for(erased[0], itertools.chain.from_iterable(erased[1:])),
        "once_tombstones": _kept(current),
    }


def _looked_for(first: Iterable[str], fallbacks: Iterable[str]) -> list[str]:
    return [
        *(f"hg:once:{kept}{each}" for each in first for kept in ("", "fallback:")),
        *(f"hg:once:{each}" for each in fallbacks),
    ]


def _kept(endings: Sequence[str]) -> list[str]:
    return [f"hg:once:{endings[0]}", *(f"hg:once:fallback:{each}" for each in endings[1:])]


#: One encoder for all calls: `json.dumps` would create one per call.
dumps: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
