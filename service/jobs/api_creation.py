"""Jobs that API callers ask for, as the script that creates them reads them. Pure data."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from service.encryption import places
from service.encryption.cipher import Cipher
from service.jobs.draft_encoding import dumps, encode_draft, encrypt_text
from service.jobs.lua.call import ScriptCall
from service.jobs.lua.create_job import create_job
from service.jobs.model import JobDraft, derived_id
from service.jobs.person_keys import PersonKeys
from service.jobs.replies import Creation
from service.photos.photo import Photo

#: How long an idempotency key leads to its job.
IDEMPOTENCY_MS: Final = 7 * 24 * 3600 * 1000


@dataclass(frozen=True)
class ApiCreation:
    """A job that an API caller asks for.

    Parameters:
      job_id: Its id.
      draft: What it is to do.
      caller: Name of the API key; idempotency keys are per caller.
      idempotency_key: The caller's, or None.
      request: Text that is equal for two requests exactly if they ask for the same.
    """

    job_id: str
    draft: JobDraft
    caller: str
    idempotency_key: str | None
    request: str

    def call(self, person_keys: PersonKeys, cipher: Cipher) -> ScriptCall[Creation]:
        """The script call that creates it, with its text and photo encrypted."""
        entry = encrypt_text(self._entry(person_keys), cipher)
        photo = b""
        if isinstance(self.draft.photo, Photo):
            entry, photo = _encrypt_photo(entry, self.draft.photo.jpeg, cipher)
        request_hash = hashlib.sha256(self.request.encode()).hexdigest()
        return create_job(dumps(entry), self._idempotency, request_hash, IDEMPOTENCY_MS, photo)

    def _entry(self, person_keys: PersonKeys) -> dict[str, Any]:
        source = {"source": None, "event_id": None, "rule": None, "api_key": self.caller}
        entry = encode_draft(self.job_id, self.draft, source, person_keys)
        return entry | {"by": f"api:{self.caller}"}

    @property
    def _idempotency(self) -> str:
        """Where the idempotency key is stored; empty for none."""
        key = self.idempotency_key
        return f"hg:idem:{derived_id('idem', self.caller, key)}" if key else ""


def _encrypt_photo(
    entry: dict[str, Any], jpeg: bytes, cipher: Cipher
) -> tuple[dict[str, Any], bytes]:
    if not cipher.enabled:
        return entry, jpeg
    encrypted = cipher.encrypt(jpeg, places.job_photo(entry["id"]))
    return {**entry, "encrypted": True}, encrypted
