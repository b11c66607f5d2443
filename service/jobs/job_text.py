"""How the text of a job is read: encrypted or, in an older record, plain. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from service.encryption import places
from service.encryption.cipher import MAGIC_TEXT, Cipher

#: Version of a job's record from which its text may be encrypted (lua/lib/records.lua).
ENCRYPTED_SINCE: Final = 3


def read_text(job_id: str, fields: Mapping[str, str], stored: str, cipher: Cipher) -> str:
    """The text of a job, or the URL of its photo.

    Parameters:
      job_id: The job.
      fields: Its hash (`hash_encoding.fields_of`), read in one step with the text.
      stored: What is stored as its text; '' for none.
      cipher: Decrypts it.

    Raises:
      Unreadable: It cannot be decrypted.
    """
    if not is_text_encrypted(fields, stored):
        return stored
    return cipher.decrypt_text(stored, places.job_text(fields.get("encrypted_as", job_id)))


def is_text_encrypted(fields: Mapping[str, str], stored: str) -> bool:
    """Whether a stored text is encrypted; the version tells one from a text that looks like it."""
    return int(fields["v"]) >= ENCRYPTED_SINCE and stored.startswith(MAGIC_TEXT)
