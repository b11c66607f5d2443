"""Who is meant by a name: the usernames and ids that jobs and caches show to be one person."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Final, cast

import redis.asyncio as aredis

from service.instagram.ids import person_name
from service.jobs.person_keys import PersonKeys, traces_key
from service.jobs.queries import newest_members
from service.jobs.records import JobRecord

#: The most jobs, the newest, that are asked whom they show to be one person.
_MAX_LINKS: Final = 1_000


@dataclass(frozen=True)
class Person:
    """A person.

    Parameters:
      asked: The name that was asked for: a username, or `pk:DIGITS`.
      names: All names, this one last.
      others: Ids that have had the username, if it is not one: then none of them is taken for the
        person, since a username can pass to somebody else.
      keys: All keys under which Redis lists jobs about the person, by name.
    """

    asked: str
    names: tuple[str, ...]
    others: tuple[str, ...]
    keys: dict[str, list[str]]

    def public(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            "asked": self.asked,
            "names": list(self.names[::-1]),
            "other_ids": list(self.others),
        }

    def current_key(self, recipient: str) -> str:
        """The key of one of the names, as new records have it."""
        return self.keys[recipient][0]

    def indexes(self) -> list[str]:
        """The indexes of jobs about the person, those of the asked name last."""
        return [f"hg:who:{key}" for name in self.names for key in self.keys[name]]

    def is_meant(self, to: str, pk: str, who: str) -> bool:
        """Whether a job of one of these indexes is about this person.

        Parameters:
          to: Its person's name, '' for none.
          pk: Its person's `pk:DIGITS`, '' while that is unknown.
          who: The keys that it is listed under.
        """
        if self.asked in (to, pk) or pk in self.names:
            return True
        if to:
            return not pk and to in self.names
        return any(key in who.split() for name in self.names for key in self.keys[name])


class PersonFinder:
    """Finds out who is meant by a name.

    Parameters:
      client: The event loop's Redis client.
      person_keys: Computes the keys of persons.
    """

    def __init__(self, client: aredis.Redis, person_keys: PersonKeys) -> None:
        self._client = client
        self._keys = person_keys

    async def find(self, asked: str) -> Person:
        """The person of a name, whether anything is known of them or not.

        Parameters:
          asked: A username in its normal form without `@`, or `pk:DIGITS`.
        """
        linked = await (self._names_of(asked) if asked.startswith("pk:") else self._ids_of(asked))
        if not asked.startswith("pk:") and len(linked) == 1:
            [pk] = linked
            linked |= await self._names_of(pk)
        is_one = asked.startswith("pk:") or sum(name.startswith("pk:") for name in linked) == 1
        names = (*sorted(linked - {asked}), asked) if is_one else (asked,)
        others = () if is_one else tuple(sorted(linked - {asked}))
        return Person(asked, names, others, {name: self._keys.all_keys(name) for name in names})

    async def _ids_of(self, username: str) -> set[str]:
        """The ids that a username was found to have."""
        recipient = f"@{username}" if username.isdigit() else username
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.get(f"hg:pk:{recipient}")
            pipe.hget(f"hg:found:user:{username}", "body")
            cached, body = await cast("Awaitable[list[bytes | None]]", pipe.execute())
        pks = {cached.decode()} if cached else set()
        if body:
            pks.add(str(json.loads(body)["pk"]))
        jobs = await self._links(username)
        pks |= {pk for to, pk in jobs if to.removeprefix("@") == username and pk}
        return {f"pk:{pk}" for pk in pks}

    async def _names_of(self, pk: str) -> set[str]:
        """The usernames that an id was found to have."""
        number = pk.removeprefix("pk:")
        jobs = await self._links(pk)
        names = {to.removeprefix("@") for to, job_pk in jobs if job_pk == number and to != number}
        for key in self._keys.all_keys(pk):
            traces: Any = await cast("Awaitable[Any]", self._client.smembers(traces_key(key)))
            names |= {name.removeprefix("@") for name in _cached_names(traces)}
        return names - {""}

    async def _links(self, name: str) -> set[tuple[str, str]]:
        """Recipients and ids of the newest jobs listed under a name."""
        found: set[tuple[str, str]] = set()
        for key in self._keys.all_keys(name):
            jobs = await newest_members(self._client, f"hg:who:{key}", None, _MAX_LINKS)
            async with self._client.pipeline(transaction=False) as pipe:
                for job_id, _ in jobs:
                    pipe.hmget(b"hg:job:" + job_id, "to", "pk")
                rows = await cast("Awaitable[list[list[bytes | None]]]", pipe.execute())
            found |= {((to or b"").decode(), (pk or b"").decode()) for to, pk in rows if to}
        return found


def person_of(record: JobRecord) -> tuple[str, str]:
    """The names by which a job has its person: of the recipient and `pk:DIGITS`, '' for unknown."""
    if not record.to:
        return "", ""
    return person_name(record.to), f"pk:{record.pk}" if record.pk else ""


def _cached_names(keys: set[bytes]) -> set[str]:
    """The usernames in the names of caches."""
    found = (re.match(r"hg:(?:pk|found:user):(.+)", key.decode()) for key in keys)
    return {match[1] for match in found if match}
