"""Scripted misbehaviour: rules that are tried in order, each with an effect."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

from deploy.local.instagram.http import Json, Reply
from deploy.local.instagram.replies import refuse

Answer = Literal["normal", "drop", "empty", "truncate", "not_json"]

#: Effects that are either on or off, and what becomes of the answer once the effect is stored.
_ANSWERS: Final[dict[str, Answer]] = {
    "drop_after": "drop",
    "empty_ok": "empty",
    "truncate": "truncate",
    "not_json": "not_json",
}


@dataclass(frozen=True)
class Effect:
    """What a rule does to a request.

    Parameters:
        delay_seconds: wait before the request is looked at.
        delay_after_effect_seconds: wait between storing the effect and answering.
        drop_before: close the connection; nothing is stored.
        hang: never answer; nothing is stored.
        refusal: answer this; nothing is stored.
        answer: what becomes of the answer once the effect is stored.
        replacement: answer this once the effect is stored.
    """

    delay_seconds: float = 0.0
    delay_after_effect_seconds: float = 0.0
    drop_before: bool = False
    hang: bool = False
    refusal: Reply | None = None
    answer: Answer = "normal"
    replacement: Reply | None = None


NO_EFFECT: Final = Effect()


@dataclass
class Fault:
    """One rule.

    Parameters:
        match: a call's name or a path, globs allowed (`broadcast_*`, `/api/v1/media/*`).
        account: only for this account's calls, if set.
        skip: how many matching calls go by first.
        times: how many calls it is good for after that; None means every one.
    """

    id: int
    match: str
    effect: Effect
    described: Json
    account: str | None = None
    skip: int = 0
    times: int | None = None
    hits: int = field(default=0)

    def concerns(self, call: str, path: str, account: str | None) -> bool:
        """Whether this rule is about such a call."""
        if self.account is not None and self.account != account:
            return False
        return fnmatchcase(call, self.match) or fnmatchcase(path, self.match)

    def take(self) -> bool:
        """Count one matching call; tells whether the rule applies to it."""
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        self.hits += 1
        return True


class Faults:
    """The rules in force, in the order they were added."""

    def __init__(self) -> None:
        self.rules: list[Fault] = []
        self._added = 0

    def add(self, script: Json) -> Fault:
        """Add a rule from JSON: `match`, `effect`, and optionally `account`, `skip`, `times`.

        Raises:
            ValueError: if the rule cannot be understood; the message names the field.
        """
        unknown = set(script) - {"match", "effect", "account", "skip", "times"}
        if unknown:
            raise ValueError(f"fault: unknown field {', '.join(sorted(unknown))}")
        fault = Fault(
            id=self._added + 1,
            match=_text(script, "match"),
            effect=parse_effect(script.get("effect")),
            described=script,
            account=script.get("account"),
            skip=_count(script, "skip") or 0,
            times=_count(script, "times"),
        )
        self._added += 1
        self.rules.append(fault)
        return fault

    def take(self, call: str, path: str, account: str | None) -> Fault | None:
        """The first rule that applies to this call, with the call counted."""
        for fault in self.rules:
            if fault.concerns(call, path, account) and fault.take():
                return fault
        return None

    def clear(self) -> None:
        """Drop every rule."""
        self.rules = []

    def described(self) -> list[Json]:
        """The rules as they were given, with their ids and how often they applied."""
        return [{**fault.described, "id": fault.id, "hits": fault.hits} for fault in self.rules]


def parse_effect(script: Any) -> Effect:
    """An effect from JSON: a name (`"drop_after"`) or an object of one or more.

    Known are `delay_seconds`, `delay_after_effect_seconds`, `drop_before`, `hang`, `drop_after`,
    `empty_ok`, `truncate`, `not_json`, `error` (a refusal's name), `status` and
    `status_after_effect` (a number; `body` and `location` go with either).

    Raises:
        ValueError: if it cannot be understood.
    """
    named: Json = {script: True} if isinstance(script, str) else dict(script or {})
    told = {name: named.pop(name, None) for name in ("body", "location")}
    if not named:
        raise ValueError("effect: name at least one")
    values: dict[str, Any] = {}
    for name, value in named.items():
        values.update(_parse_part(name, value, told))
    return Effect(**values)


def _parse_part(name: str, value: Any, told: Json) -> dict[str, Any]:
    if name in ("delay_seconds", "delay_after_effect_seconds"):
        return {name: _seconds(name, value)}
    if name == "error":
        return {"refusal": refuse(str(value))}
    if name in ("status", "status_after_effect"):
        key = "refusal" if name == "status" else "replacement"
        return {key: _status_reply(name, value, told)}
    if value is not True:
        raise ValueError(f"effect {name}: {_hint(name)}")
    if name in ("drop_before", "hang"):
        return {name: True}
    if name in _ANSWERS:
        return {"answer": _ANSWERS[name]}
    raise ValueError(f"effect {name}: {_hint(name)}")


def _hint(name: str) -> str:
    switches = {"drop_before", "hang", *_ANSWERS}
    if name in switches:
        return "give true, or leave it out"
    valued = {"error", "status", "status_after_effect", "body", "location"}
    valued |= {entry.name for entry in fields(Effect) if entry.name.endswith("_seconds")}
    return f"known are {', '.join(sorted(switches | valued))}"


def _status_reply(name: str, value: Any, told: Json) -> Reply:
    if not isinstance(value, int) or not 200 <= value <= 599:
        raise ValueError(f"effect {name}: give an HTTP status from 200 to 599")
    body, location = told["body"], told["location"]
    headers = (("location", str(location)),) if location else ()
    if isinstance(body, str):
        return Reply(value, headers=headers, content=body.encode())
    return Reply(value, {"status": "fail"} if body is None else body, headers)


def _seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ValueError(f"effect {name}: give a number of seconds")
    return float(value)


def _text(script: Json, name: str) -> str:
    value = script.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"fault {name}: give a call name or a path, globs allowed")
    return value


def _count(script: Json, name: str) -> int | None:
    value = script.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise ValueError(f"fault {name}: give a whole number")
    return value
