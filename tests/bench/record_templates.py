"""Multiplies what one job has left in a store: the same keys, fields and index entries.

The values that differ between clones (ids, account, recipient, sequence number, times) have the
same length in all of them. So a clone's commands are one text with placeholders, in Redis'
protocol, and a million clones are written as fast as the server accepts them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import itemgetter
from typing import Any, Final, NamedTuple, cast

import redis

from service.jobs.lua.hash_encoding import FOLDED, PIECE, fields_of
from tests.bench.typical_dm import TIMES

#: The first sequence number; all later ones have as many digits.
FIRST_SEQ: Final = 1_000_000
_MOMENTS: Final = frozenset(
    ("created", "run_at", "started", "finished", "intent_at", "received", "ended", "next_at")
)
#: Indexes without entries of ended or far future jobs, or with entries for a day only.
_PASSING: Final = re.compile(r"hg:(wakes|leases|turns|acct:.*:spent:.*)$")


class Clone(NamedTuple):
    """The values that differ in one clone."""

    job: str
    event: str
    mark: str
    account: str
    pk: str
    seq: int
    at_ms: int
    number: int


@dataclass(frozen=True)
class _Found:
    kind: str
    value: Any
    dump: bytes
    ttl_ms: int

    @property
    def fades(self) -> bool:
        """Whether it is deleted long before its job."""
        return 0 < self.ttl_ms <= TIMES.keep_bodies


class _Hole(NamedTuple):
    """A placeholder in a text; every clone's value has the same length."""

    name: str
    length: int

    def __str__(self) -> str:
        return f"\x01{self.name}".ljust(self.length - 1, "\x01") + "\x02"


_HOLE: Final = re.compile("\x01([^\x01\x02]+)\x01*\x02")
_COPIED: Final = ("hash", "string", "list")
_TORN: Final = re.compile("[\x01\x02]")
_IDS: Final = {
    "job": _Hole("job", 26),
    "event": _Hole("event", 24),
    "account": _Hole("account", 11),
    "pk": _Hole("pk", 11),
}


class RecordTemplate:
    """Everything that one job has left behind, as templates.

    Parameters:
      name: The sort of job.
      found: Every key of the ledger, with its value.
      names: The job's own names, to be replaced by placeholders.
    """

    def __init__(self, name: str, found: Mapping[str, _Found], names: Mapping[str, str]) -> None:
        self._name = name
        self._found = found
        self._names = names
        [event] = [each.value for key, each in found.items() if key.startswith("hg:event:")]
        self._born = int(event[b"received"])
        #: The placeholder of each time: by its distance from the first time in ms, and by whether
        #: it stays in the future.
        self._moments: dict[tuple[int, bool], str] = {}
        self._texts = {recent: _Text("".join(self._records(recent))) for recent in (True, False)}
        self._entries = list(self._all_entries())

    @classmethod
    def of(cls, store: redis.Redis, name: str, **names: str) -> RecordTemplate:
        """Make templates of a store that has seen one job and nothing else.

        Parameters:
          store: The store.
          name: The sort of job.
          names: Its job, event, account and the recipient's pk.
        """
        found = {key.decode(): _found(store, key) for key in store.scan_iter("hg:*")}
        return cls(name, found, names | {"job": names["job"].removeprefix("job_")})

    def bring(self, store: redis.Redis) -> None:
        """Copy the unchanging keys into the store to fill."""
        for key, each in self._found.items():
            if each.kind in _COPIED:
                store.restore(self._kept(key), max(0, each.ttl_ms), each.dump)

    def brought(self) -> list[str]:
        """The keys that `bring` has copied, to be deleted at the end."""
        return [self._kept(key) for key, each in self._found.items() if each.kind in _COPIED]

    def commands(self, clones: Sequence[Clone], *, recent: bool) -> Iterator[bytes]:
        """The commands that create these clones.

        Parameters:
          clones: The values that differ in each.
          recent: Whether bodies and texts of their age are still stored.
        """
        if not clones:
            return
        values = [self._values(clone) for clone in clones]
        yield "".join(map(self._texts[recent].filled, values)).encode("latin-1")
        members = {text: [*map(_Text(text).filled, values)] for _, text, _ in self._entries}
        for index, member, score in self._entries:
            rows = defaultdict[str, list[str]](list)
            keys = map(index.filled, values) if index.has_holes else repeat(index.text)
            for key, clone, name in zip(keys, clones, members[member], strict=False):
                rows[key] += (score(clone), name)
            for key, pairs in rows.items():
                yield encoded("ZADD", key, *pairs)

    def accounts(self, names: Sequence[str]) -> Iterator[bytes]:
        """The commands that create the accounts.

        Parameters:
          names: The accounts' names.
        """
        own = self._names["account"]
        for key, each in self._found.items():
            for name in names:
                if each.kind == "set":
                    members = (member.decode().replace(own, name) for member in each.value)
                    yield encoded("SADD", key.replace(own, name), *members)
                elif key == f"hg:acct:{own}":
                    yield encoded("COPY", self._kept(key), f"hg:acct:{name}")

    def _kept(self, key: str) -> str:
        return f"mould:{self._name}:{key}"

    def _with_placeholders(self, text: str) -> str:
        for name, own in self._names.items():
            text = text.replace(own, str(_IDS[name]))
        return text

    def _moment(self, value: str) -> str:
        """A far future time stays so, and is one second later for each clone."""
        ahead = int(value) > self._born + 1_000_000
        name = self._moments.setdefault((int(value) - self._born, ahead), f"m{len(self._moments)}")
        return str(_Hole(name, 13))

    def _values(self, clone: Clone) -> dict[str, str]:
        values = {
            "job": clone.job,
            "event": clone.event,
            "mark": clone.mark,
            "account": clone.account,
            "pk": clone.pk,
            "seq 1": str(clone.seq + 1),
            "seq 2": str(clone.seq + 2),
            "seq 3": str(clone.seq + 3),
        }
        for (span, ahead), placeholder in self._moments.items():
            at = self._born + clone.number * 1_000 if ahead else clone.at_ms
            values[placeholder] = str(at + span)
        return values

    # -- records

    def _records(self, recent: bool) -> Iterator[str]:
        for key, each in self._found.items():
            if each.fades and not recent:
                continue
            yield from (_command(*words) for words in self._record(key, each))

    def _record(self, key: str, each: _Found) -> Iterator[list[str]]:
        if each.kind == "stream":
            if key == "hg:audit":
                yield from (self._noted(fields) for _, fields in each.value)
        elif key.startswith(("hg:repeat:", "hg:once:")):
            name = key[: key.rindex(":") + 1] + str(_Hole("mark", 40))
            yield ["SET", name, f"job_{_IDS['job']}", "PX", str(each.ttl_ms)]
        elif key.startswith("hg:jobtl:"):
            yield ["RPUSH", self._with_placeholders(key), *map(self._line, each.value)]
        elif each.kind in _COPIED and self._with_placeholders(key) != key:
            if not key.startswith("hg:acct:"):
                yield ["COPY", self._kept(key), self._with_placeholders(key)]
            if key.startswith(("hg:job:", "hg:dlv:", "hg:event:")):
                yield ["HSET", self._with_placeholders(key), *self._changed(key, each.value)]

    def _noted(self, fields: Mapping[bytes, bytes]) -> list[str]:
        flat = [self._with_placeholders(part.decode()) for pair in fields.items() for part in pair]
        return ["XADD", "hg:audit", self._moment(str(self._born)) + "-*", *flat]

    def _line(self, line: bytes) -> str:
        at, tab, rest = line.decode().partition("\t")
        return self._moment(at) + tab + self._with_placeholders(rest)

    def _changed(self, key: str, raw: Mapping[bytes, bytes]) -> Iterator[str]:
        """The fields of a record that differ in each clone."""
        job = key.startswith("hg:job:")
        fields = fields_of(raw) if job else {n.decode(): v.decode() for n, v in raw.items()}
        rank = 1 if job else 3 if key.startswith("hg:dlv:") else 2
        for name in (name.decode() for name in raw if b":" not in name):
            value = fields[name]
            if name == "seq":
                yield from (name, str(_Hole(f"seq {rank}", 7)))
            elif name in _MOMENTS and int(value):
                yield from (name, self._moment(value))
            elif self._with_placeholders(value) != value:
                yield from _pieces(name, self._with_placeholders(value))

    # -- entries

    def _all_entries(self) -> Iterator[tuple[_Text, str, Callable[[Clone], str]]]:
        for index, each in self._found.items():
            if each.kind == "zset" and not _PASSING.match(index):
                for member, score in each.value:
                    name = member.decode()
                    scored = self._score(index, name, int(score))
                    yield (
                        _Text(self._with_placeholders(index)),
                        self._with_placeholders(name),
                        scored,
                    )

    def _score(self, index: str, member: str, score: int) -> Callable[[Clone], str]:
        if index == "hg:expiry":
            return lambda _: str(score)
        if index in ("hg:due", "hg:alarms"):
            return lambda clone: str(score + clone.number * 1_000)
        if index == "hg:retention":
            return lambda clone: str(score - self._born + clone.at_ms)
        rank = 1 if member.startswith("job_") else 3 if member.startswith("dlv_") else 2
        more = score - int(self._found[f"hg:job:{member}"].value[b"seq"]) if rank == 1 else 0
        return lambda clone: str(more + clone.seq + rank)


class _Text:
    """A text with placeholders."""

    def __init__(self, text: str) -> None:
        self.text = text
        parts = _HOLE.split(text)
        self._format = "%s".join(part.replace("%", "%%") for part in parts[::2])
        placeholders = parts[1::2]
        self.has_holes = bool(placeholders)
        self._values: Any = itemgetter(*placeholders) if placeholders else lambda _: ()

    def filled(self, values: Mapping[str, str]) -> str:
        """The text of one clone."""
        filled: str = self._format % self._values(values)
        return filled


def _pieces(name: str, value: str) -> Iterator[str]:
    """A field whose value has placeholders, split into the pieces in which it is stored."""
    step = PIECE if name in FOLDED else len(value)
    for n, start in enumerate(range(0, len(value), step), 1):
        piece = value[start : start + step]
        if _TORN.search(_HOLE.sub("", piece)):
            raise ValueError(f"a hole lies across two pieces of {name}: {value!r}")
        yield from (name if n == 1 else f"{name}:{n}", piece)


def _command(*words: str) -> str:
    return f"*{len(words)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)


def encoded(*words: str) -> bytes:
    """A command in Redis' protocol."""
    return _command(*words).encode("latin-1")


def _found(store: redis.Redis, key: bytes) -> _Found:
    kind = cast("bytes", store.type(key)).decode()
    read: Mapping[str, Callable[[], Any]] = {
        "hash": lambda: store.hgetall(key),
        "list": lambda: store.lrange(key, 0, -1),
        "zset": lambda: store.zrange(key, 0, -1, withscores=True),
        "stream": lambda: store.xrange(key),
        "string": lambda: store.get(key),
        "set": lambda: store.smembers(key),
    }
    ttl: Any = store.pttl(key)
    return _Found(kind, read[kind](), store.dump(key) or b"", ttl)
