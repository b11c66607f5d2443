"""Checks across the tables of a heliograph.toml: references, roles, targets and ceilings.

They read the plain document, not the models, so that one mistake does not hide another. Wrong
types are left to the models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from service.config.errors import suggestion
from service.config.pacing import PACE_KINDS, over_ceiling
from service.config.toml_lines import Path
from service.templates.templates import is_constant
from service.time_formats.durations import parse_duration_ms

Finding = tuple[Path, str]
_Table = Mapping[str, Any]

_TABLES: Final = {"source": "sources", "account": "accounts", "callback": "callbacks"}
_TARGETS: Final = {"dm": ("to", "post"), "comment": ("post", "to")}


def find_conflicts(document: _Table) -> Iterator[Finding]:
    """Find everything that does not fit together.

    Parameters:
      document: The file as parsed by `tomllib`.

    Returns:
      The path of each problem, and its message.
    """
    yield from _duplicate_names(document)
    for position, rule in _rules(document):
        for check in _RULE_CHECKS:
            for key, message in check(document, rule):
                yield ("rules", position, key), message
    for name, account in _table(document, "accounts").items():
        for key, message in _unknown_account_callback(document, account):
            yield ("accounts", name, key), message
    yield from _exceeded_ceilings(document)


def _table(document: Any, *keys: str) -> _Table:
    for key in keys:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document if isinstance(document, Mapping) else {}


def _rules(document: _Table) -> Iterator[tuple[int, _Table]]:
    rules = document.get("rules")
    for position, rule in enumerate(rules if isinstance(rules, list) else []):
        if isinstance(rule, Mapping):
            yield position, rule


def _duplicate_names(document: _Table) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for position, rule in _rules(document):
        name = rule.get("name")
        if not isinstance(name, str):
            continue
        first = seen.setdefault(name, position)
        if first != position:
            yield ("rules", position, "name"), f"rules[{first}] has this name; names are unique"


def _unknown_references(document: _Table, rule: _Table) -> Iterator[tuple[str, str]]:
    for key, table in _TABLES.items():
        name, known = rule.get(key), _table(document, table)
        if isinstance(name, str) and name not in known:
            yield key, f"there is no [{table}.{name}]; {suggestion(name, known)}"


def _unknown_account_callback(document: _Table, account: Any) -> Iterator[tuple[str, str]]:
    callback = _table(account).get("callback")
    if callback is not None:
        yield from _unknown_references(document, {"callback": callback})


def _read_only_account(document: _Table, rule: _Table) -> Iterator[tuple[str, str]]:
    name = rule.get("account")
    if isinstance(name, str) and _table(document, "accounts", name).get("role") == "read":
        yield "account", f"accounts.{name} has role 'read'; a rule needs 'write' or 'both'"


def _wrong_target(_document: _Table, rule: _Table) -> Iterator[tuple[str, str]]:
    action = rule.get("action")
    if not isinstance(action, str) or action not in _TARGETS:
        return
    required, unwanted = _TARGETS[action]
    if required not in rule:
        yield required, f"is missing; the action {action!r} needs it"
    if unwanted in rule:
        yield unwanted, f"is not for the action {action!r}; remove it"


def _expires_too_early(_document: _Table, rule: _Table) -> Iterator[tuple[str, str]]:
    delay, expires = _constant_ms(rule.get("delay", "0s")), _constant_ms(rule.get("expires"))
    if delay is not None and expires is not None and expires <= delay:
        yield "expires", "ends before the job may run; make it longer than the delay"


def _constant_ms(written: Any) -> int | None:
    if not isinstance(written, str) or not is_constant(written):
        return None
    try:
        return parse_duration_ms(written)
    except ValueError:
        return None  # the model reports it


_RULE_CHECKS: Final[tuple[Callable[[_Table, _Table], Iterator[tuple[str, str]]], ...]] = (
    _unknown_references,
    _read_only_account,
    _wrong_target,
    _expires_too_early,
)


def _exceeded_ceilings(document: _Table) -> Iterator[Finding]:
    if _table(document, "pacing").get("i_accept_the_risk") is True:
        return
    places: list[tuple[str, ...]] = [("pacing",)]
    places += [("accounts", name, "pacing") for name in _table(document, "accounts")]
    for place in places:
        for kind in PACE_KINDS:
            for key, value in _table(document, *place, kind).items():
                message = over_ceiling(kind, key, value)
                if message:
                    yield (*place, kind, key), message
