"""The key of every process in the tests, and the cipher that it makes."""

from __future__ import annotations

from typing import Any, Final

import redis

from service.encryption import places
from service.encryption.cipher import Cipher
from service.jobs.job_text import read_text
from service.jobs.lua.hash_encoding import fields_of

SECRET_KEY: Final = "a secret key for the tests of more than thirty-two characters"
CIPHER: Final = Cipher.of(SECRET_KEY)
#: What a process has where encryption is switched off: it reads, and writes plain.
PLAIN: Final = Cipher.of(SECRET_KEY, enabled=False)


def stored_text(store: redis.Redis, job_id: str) -> str | None:
    """The decrypted text of a job; None if there is none."""
    stored: Any = store.get(f"hg:jobtext:{job_id}")
    fields: Any = store.hgetall(f"hg:job:{job_id}")
    return None if stored is None else read_text(job_id, fields_of(fields), stored.decode(), CIPHER)


def stored_photo(store: redis.Redis, job_id: str) -> bytes | None:
    """The decrypted photo of a job; None if there is none."""
    stored: Any = store.get(f"hg:jobphoto:{job_id}")
    return None if stored is None else CIPHER.decrypt(stored, places.job_photo(job_id))
