"""What is shown of a single job besides its record: what was to be sent, where to look for it, and
what was tried.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import redis.asyncio as aredis

from service.encryption.cipher import Cipher, Unreadable
from service.instagram.ids import person_name, recipient_pk
from service.instagram.pages import post_url, profile_url, thread_url
from service.jobs.job_text import read_text
from service.jobs.lua.hash_encoding import fields_of
from service.jobs.person_keys import PersonKeys, traces_key
from service.jobs.records import JobRecord
from service.jobs.timeline import parse_timeline_entry
from service.jobs.tried import Entry, what_was_tried

#: Caches that show a user's id under a username (service/accounts/user_id_cache.py,
#: service/lookups/shared_cache.py).
_NAMES: Final = re.compile(r"hg:(?:pk|found:user):@?(.+)")
_UNREADABLE: Final[Mapping[str, str]] = {
    "code": "text_unreadable",
    "message": "The text cannot be decrypted: SECRET_KEY lacks the key from when it was stored.",
}
_THREAD_ID: Final = re.compile(r"[0-9]{1,64}")


@dataclass(frozen=True)
class JobDetails:
    """A job with what is kept beside its record, read in one step.

    Parameters:
      record: The job.
      text: The text that it sends, or the URL of its photo; None if it is not stored any more.
      is_unreadable: Whether it is stored and cannot be decrypted.
      timeline: Its timeline, oldest first.
      username: The username of a recipient whom the job names by id, if one is known.
    """

    record: JobRecord
    text: str | None = field(repr=False)
    is_unreadable: bool
    timeline: Sequence[Entry]
    username: str | None = None

    def public(self) -> dict[str, Any]:
        """The details as the API shows them, beside the fields of the job itself."""
        return {
            "text": self.text,
            "text_error": _UNREADABLE if self.is_unreadable else None,
            "thread": self._thread(),
            "links": self._links(),
            "tried": what_was_tried(self.record, self.timeline),
        }

    def _thread(self) -> dict[str, str] | None:
        """The conversation: of its DM, or that which a verification has read."""
        reported = str((self.record.result or {}).get("thread_id") or "")
        thread_id = reported or self.record.looked_in
        if not _THREAD_ID.fullmatch(thread_id):
            return None
        return {"id": thread_id, "url": thread_url(thread_id)}

    def _links(self) -> dict[str, str | None]:
        return {
            "profile": profile_url(self.username) if self.username else None,
            "post": post_url(self.record.post) if self.record.post else None,
        }


class JobDetailsReader:
    """Reads the details of jobs.

    Parameters:
      client: The event loop's Redis client.
      cipher: Decrypts texts.
      person_keys: By them, what is cached about a person is found.
    """

    def __init__(self, client: aredis.Redis, cipher: Cipher, person_keys: PersonKeys) -> None:
        self._client = client
        self._cipher = cipher
        self._person_keys = person_keys

    async def read(self, job_id: str) -> JobDetails | None:
        """A job's details; None if it is unknown or pruned."""
        async with self._client.pipeline(transaction=True) as pipe:
            pipe.hgetall(f"hg:job:{job_id}")
            pipe.get(f"hg:jobtext:{job_id}")
            pipe.lrange(f"hg:jobtl:{job_id}", 0, -1)
            raw, stored, lines = await pipe.execute()
        if not raw:
            return None
        fields = fields_of(raw)
        record = JobRecord.of(job_id, fields)
        timeline = [parse_timeline_entry(line) for line in lines]
        username = await self._username(record)
        try:
            text = read_text(job_id, fields, (stored or b"").decode(), self._cipher)
        except Unreadable:
            return JobDetails(record, None, True, timeline, username)
        return JobDetails(record, text or None, False, timeline, username)

    async def _username(self, record: JobRecord) -> str | None:
        """The recipient's username; of one named by id only if exactly one is known."""
        pk = recipient_pk(record.to)
        if pk is None:
            return person_name(record.to) if record.to else None
        names: set[str] = set()
        for key in self._person_keys.all_keys(f"pk:{pk}"):
            traces = await cast("Awaitable[set[bytes]]", self._client.smembers(traces_key(key)))
            names |= {match[1] for each in traces if (match := _NAMES.fullmatch(each.decode()))}
        return names.pop() if len(names) == 1 else None
