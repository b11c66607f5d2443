"""Scripted faults, tried in order; each has an effect on the requests it matches."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

from deploy.local.instagram.http import Json, Reply
from deploy.local.instagram.replies import refuse

ReplyChange = Literal["normal", "drop", "empty", "truncate", "not_json"]

#: Switches that change the reply after the request has taken effect.
_REPLY_CHANGES: Final[dict[str, ReplyChange]] = {
    "drop_after": "drop",
    "empty_ok": "empty",
    "truncate": "truncate",
    "not_json": "not_json",
}


@dataclass(frozen=True)
class Effect:
    """What a fault does to a request.

    Parameters:
        delay_seconds: wait before handling the request.
        delay_after_effect_seconds: wait between storing the request's effect and replying.
        drop_before: close the connection; nothing is stored.
        hang: never reply; nothing is stored.
        refusal: send this reply; nothing is stored.
        reply_change: what happens to the reply after the request's effect is stored.
        replacement: send this reply after the request's effect is stored.
    """

    delay_seconds: float = 0.0
    delay_after_effect_seconds: float = 0.0
    drop_before: bool = False
    hang: bool = False
    refusal: Reply | None = None
    reply_change: ReplyChange = "normal"
    replacement: Reply | None = None


NO_EFFECT: Final = Effect()


@dataclass
class Fault:
    """One fault.

    Parameters:
        match: a call's name or a path, globs allowed (`broadcast_*`, `/api/v1/media/*`).
        script: the JSON it was built from.
        account: only this account's calls, if set.
        skip: how many matching calls to let through first.
        times: how many calls it applies to after that; None for all.
    """

    id: int
    match: str
    effect: Effect
    script: Json
    account: str | None = None
    skip: int = 0
    times: int | None = None
    hits: int = field(default=0)

    def matches(self, call: str, path: str, account: str | None) -> bool:
        """Whether the fault matches a call; counts nothing."""
        if self.account is not None and self.account != account:
            return False
        return fnmatchcase(call, self.match) or fnmatchcase(path, self.match)

    def take(self) -> bool:
        """Count one matching call; returns whether the fault applies to it."""
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        self.hits += 1
        return True


class Faults:
    """The active faults, in the order they were added."""

    def __init__(self) -> None:
        self.rules: list[Fault] = []
        self._added = 0

    def add(self, script: Json) -> Fault:
        """Add a fault from JSON: `match`, `effect`, and optionally `account`, `skip`, `times`.

        Raises:
            ValueError: it is invalid; the message names the field.
        """
        unknown = set(script) - {"match", "effect", "account", "skip", "times"}
        if unknown:
            raise ValueError(f"fault: unknown field {', '.join(sorted(unknown))}")
        fault = Fault(
            id=self._added + 1,
            match=_text(script, "match"),
            effect=parse_effect(script.get("effect")),
            script=script,
            account=script.get("account"),
            skip=_count(script, "skip") or 0,
            times=_count(script, "times"),
        )
        self._added += 1
        self.rules.append(fault)
        return fault

    def take(self, call: str, path: str, account: str | None) -> Fault | None:
        """Return the first fault that applies to this call, and count the call."""
        for fault in self.rules:
            if fault.matches(call, path, account) and fault.take():
                return fault
        return None

    def clear(self) -> None:
        self.rules = []

    def describe(self) -> list[Json]:
        """The faults as they were given, with their ids and how often each applied."""
        return [{**fault.script, "id": fault.id, "hits": fault.hits} for fault in self.rules]


def parse_effect(script: Any) -> Effect:
    """Parse an effect from JSON: a name (`"drop_after"`) or an object with one or more.

    The names are `delay_seconds`, `delay_after_effect_seconds`, `drop_before`, `hang`,
    `drop_after`, `empty_ok`, `truncate`, `not_json`, `error` (a refusal's name), `status` and
    `status_after_effect` (a number; `body`, `headers` and `location` go with either).

    Raises:
        ValueError: it is invalid; the message names the field.
    """
    parts: Json = {script: True} if isinstance(script, str) else dict(script or {})
    extras = {name: parts.pop(name, None) for name in ("body", "headers", "location")}
    if not parts:
        raise ValueError("effect: give at least one")
    values: dict[str, Any] = {}
    for name, value in parts.items():
        values.update(_parse_part(name, value, extras))
    return Effect(**values)


def _parse_part(name: str, value: Any, extras: Json) -> dict[str, Any]:
    if name in ("delay_seconds", "delay_after_effect_seconds"):
        return {name: _seconds(name, value)}
    if name == "error":
        return {"refusal": refuse(str(value))}
    if name in ("status", "status_after_effect"):
        key = "refusal" if name == "status" else "replacement"
        return {key: _status_reply(name, value, extras)}
    if value is not True:
        raise ValueError(f"effect {name}: {_hint(name)}")
    if name in ("drop_before", "hang"):
        return {name: True}
    if name in _REPLY_CHANGES:
        return {"reply_change": _REPLY_CHANGES[name]}
    raise ValueError(f"effect {name}: {_hint(name)}")


def _hint(name: str) -> str:
    switches = {"drop_before", "hang", *_REPLY_CHANGES}
    if name in switches:
        return "must be true or absent"
    valued = {"error", "status", "status_after_effect", "body", "headers", "location"}
    valued |= {entry.name for entry in fields(Effect) if entry.name.endswith("_seconds")}
    return f"unknown; use one of {', '.join(sorted(switches | valued))}"


def _status_reply(name: str, value: Any, extras: Json) -> Reply:
    if not isinstance(value, int) or not 200 <= value <= 599:
        raise ValueError(f"effect {name}: must be an HTTP status from 200 to 599")
    body, headers = extras["body"], _headers(extras)
    if isinstance(body, str):
        return Reply(value, headers=headers, content=body.encode())
    return Reply(value, {"status": "fail"} if body is None else body, headers)


def _headers(extras: Json) -> tuple[tuple[str, str], ...]:
    headers = extras["headers"] or {}
    if not isinstance(headers, dict):
        raise ValueError("effect headers: must be an object of names and values")
    pairs = tuple((str(name), str(value)) for name, value in headers.items())
    location = extras["location"]
    return (*pairs, ("location", str(location))) if location else pairs


def _seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ValueError(f"effect {name}: must be a number of seconds")
    return float(value)


def _text(script: Json, name: str) -> str:
    value = script.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"fault {name}: must be a call name or a path, globs allowed")
    return value


def _count(script: Json, name: str) -> int | None:
    value = script.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise ValueError(f"fault {name}: must be a whole number")
    return value
