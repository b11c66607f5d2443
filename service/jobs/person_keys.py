"""Keys of persons: keyed hashes of whom a job is about, by which all of a person's data is found.

A person is named as suppressions name them: by a username in lower case without `@`, or by
`pk:DIGITS`. The hash is BLAKE2b (RFC 7693) with a key derived from `SECRET_KEY`: who has a copy of
the store but not the key can neither read a name from it nor confirm one that is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

from service.encryption.keys import derive_each
from service.instagram.ids import person_name
from service.jobs.model import JobDraft
from service.jobs.records import JobRecord
from service.jobs.tombstone_names import TombstoneNames

_PURPOSE: Final = b"heliograph/people/v1"
#: 80 bits: among ten million persons, two share a key by a chance of 1 in 20,000 million.
_DIGEST_BYTES: Final = 10
#: The most keys of one job: with them, the field is no longer than a compact hash's values.
MAX_KEYS: Final = 3

# A comment has no recipient; it is about those whom it mentions. Before `@` another word would make
# an e-mail address of it.
_MENTION: Final = re.compile(r"(?<![\w.])@([A-Za-z0-9._]{1,30})(?![A-Za-z0-9_])", re.ASCII)


class PersonKeys:
    """Computes the keys of persons.

    Parameters:
      secret_keys: The parts of `SECRET_KEY`, at least one: new keys are made with the first, and
        earlier ones are found with the others while it is rotated.
    """

    def __init__(self, secret_keys: Sequence[str]) -> None:
        keys = derive_each(",".join(secret_keys), _PURPOSE)
        self._hashes = [blake2b(digest_size=_DIGEST_BYTES, key=key) for key in keys]
        #: Names what must outlive a person's erasure.
        self.tombstones: Final = TombstoneNames(secret_keys)

    @property
    def fingerprint(self) -> str:
        """Tells under which secret new keys are made, without telling the secret."""
        return self.key("")

    def key(self, name: str) -> str:
        """The key of a person; '' names nobody and has a key that nobody else has.

        Parameters:
          name: From `person_name`.
        """
        return _key(name, self._hashes[0])

    def all_keys(self, name: str) -> list[str]:
        """The person's key under each part of `SECRET_KEY`, the current one first."""
        return [_key(name, keyed) for keyed in self._hashes]

    def entry(self, draft: JobDraft) -> dict[str, str]:
        """What the scripts are told of a draft's persons (create_job.lua)."""
        who, earlier = self.of_draft(draft), self._earlier_keys(draft)
        return {"who": who, "was": earlier} if earlier else {"who": who}

    def _earlier_keys(self, draft: JobDraft) -> str:
        """The persons' keys under the other parts of `SECRET_KEY`; '' if there is one part."""
        if len(self._hashes) == 1:
            return ""
        return " ".join(key for name in _names(draft) for key in self.all_keys(name)[1:])

    def of_draft(self, draft: JobDraft) -> str:
        """The keys of those whom a draft is about, with a space between them; '' for nobody."""
        if draft.to:
            return self.key(person_name(draft.to))
        return self.join(_names(draft))

    def of_claim(self, job: JobRecord, pk: str, username: str) -> dict[str, str]:
        """What record_intent.lua is told of a DM's recipient; nothing of other kinds.

        Parameters:
          job: The claimed job.
          pk: The recipient's pk.
          username: The username that the recipient was found to have; '' for unknown.
        """
        if job.kind != "dm":
            return {}
        pk_keys = self.all_keys(f"pk:{pk}")
        names = dict.fromkeys([person_name(job.to), *([username.lower()] if username else [])])
        keys = [*(key for name in names for key in self.all_keys(name)), *pk_keys]
        return {
            "who": self.missing(job, pk),
            "keys": " ".join(keys),
            "pk_keys": " ".join(pk_keys),
        }

    def missing(self, job: JobRecord, pk: str) -> str:
        """The keys of a job's person, now that the pk is known, but for those that it has."""
        known = job.who.split()
        keys = (self.key(name) for name in (person_name(job.to), f"pk:{pk}"))
        return " ".join(key for key in keys if key not in known)

    def join(self, names: Iterable[str]) -> str:
        """The keys of persons as a job stores them: as many as there is room for."""
        keys = dict.fromkeys(self.key(name) for name in names)
        return " ".join(list(keys)[:MAX_KEYS])


def _names(draft: JobDraft) -> list[str]:
    if draft.to:
        return [person_name(draft.to)]
    return mentioned(draft.text) if draft.kind == "comment" and "@" in draft.text else []


def mentioned(text: str) -> list[str]:
    """The names that a text mentions with `@`, in order."""
    return [person_name(f"@{name.rstrip('.').lower()}") for name in _MENTION.findall(text)]


def traces_key(person: str) -> str:
    """The set of keys in Redis, other than jobs' own, that show a person (lua/lib/people.lua).

    Parameters:
      person: A key from PersonKeys.
    """
    return f"hg:traces:{person}"


def names_shown(result: Mapping[str, Any]) -> list[str]:
    """The names of the person whom the result of a lookup shows: a profile, or a post's owner."""
    person = result.get("owner") if "owner" in result else result
    if not person:
        return []
    username, pk = person.get("username"), person.get("pk")
    return [*([str(username).lower()] if username else []), *([f"pk:{pk}"] if pk else [])]


def _key(name: str, keyed: blake2b) -> str:
    # A copy has the key's block hashed already, which is half of the work.
    state = keyed.copy()
    state.update(name.encode())
    return state.hexdigest()
