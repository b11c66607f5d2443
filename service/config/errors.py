"""The problems of a heliograph.toml, each with its line, its key and a remedy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from service.config.toml_lines import KeyLines, Path

NAME_FORM: Final = "1 to 64 letters, digits, '_', '.' and '-', the first a letter or digit"

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_DICT_KEY: Final = "[key]"
_TABLE, _LIST, _NUMBER = "must be a table", "must be a list, in [ ]", "must be a whole number"
_DATE: Final = "must be a date such as 2026-01-01, without quotes"
_MESSAGES: Final = {
    "missing": "is missing",
    "string_type": "must be text in quotes",
    "string_pattern_mismatch": f"a name is {NAME_FORM}",
    "string_too_short": "must not be empty",
    "bool_type": "must be true or false",
    "int_type": _NUMBER,
    "int_from_float": _NUMBER,
    "float_type": "must be a number",
    "date_type": _DATE,
    "date_from_datetime_inexact": _DATE,
    "tuple_type": _LIST,
    "dict_type": _TABLE,
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
}


@dataclass(frozen=True)
class Problem:
    """One thing to fix.

    Parameters:
      line: Counted from 1; None if the problem concerns the whole file.
      key: Dotted key; empty if there is none.
      message: What is wrong and what to do about it.
    """

    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        where = f"line {self.line}" if self.line else ""
        return ": ".join(part for part in (where, self.key, self.message) if part)


class ConfigError(Exception):
    """The configuration cannot be used.

    Parameters:
      problems: Everything that was found, at least one; kept in the order of the file.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line or 0))
        super().__init__("\n".join(map(str, self.problems)))


def dotted_key(path: Path) -> str:
    """A path as TOML would write it, with list positions: `rules[0].when`."""
    written = ""
    for step in path:
        if isinstance(step, int):
            written += f"[{step}]"
        else:
            key = step if _BARE_KEY.fullmatch(step) else f'"{step}"'
            written += f".{key}" if written else key
    return written


def suggestion(name: str, known: Iterable[str]) -> str:
    """A remedy for an unknown name: the nearest known one, or else all of them."""
    choices = sorted(known)
    nearest = difflib.get_close_matches(name, choices, n=1)
    if nearest:
        return f"did you mean {nearest[0]!r}?"
    return f"known are {', '.join(choices)}" if choices else "there are none"


def problem_at(lines: KeyLines, path: Path, message: str) -> Problem:
    """A problem with the value at a path."""
    return Problem(lines.find(path), dotted_key(path), message)


def validation_problems(
    error: ValidationError, model: type[BaseModel], lines: KeyLines
) -> Iterator[Problem]:
    """Translate the errors of pydantic into the terms of the file.

    Parameters:
      error: The failed validation.
      model: The model it validated against.
      lines: The lines of the keys.

    Returns:
      One problem for each error; none shows a secret.
    """
    for detail in error.errors(include_url=False):
        path = tuple(step for step in detail["loc"] if step != _DICT_KEY)
        yield problem_at(lines, path, _message(detail, model))


def _message(detail: ErrorDetails, model: type[BaseModel]) -> str:
    kind = detail["type"]
    if kind == "extra_forbidden":
        *parents, unknown = detail["loc"]
        return f"unknown key; {suggestion(str(unknown), _keys_at(model, parents))}"
    if kind == "literal_error":
        return _literal_message(detail)
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if kind == "too_short":
        return f"needs {detail['ctx']['min_length']} or more entries"
    if kind in _MESSAGES:
        return _MESSAGES[kind]
    return detail["msg"].replace("Input should", "must")


def _literal_message(detail: ErrorDetails) -> str:
    expected = detail["ctx"]["expected"]
    nearest = difflib.get_close_matches(
        str(detail["input"]), re.findall(r"'([^']*)'", expected), n=1
    )
    remedy = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return f"must be {expected}{remedy}"


def _keys_at(model: type[BaseModel], parents: Sequence[str | int]) -> list[str]:
    current: Any = model
    for step in parents:
        if isinstance(current, type) and issubclass(current, BaseModel):
            current = current.model_fields[str(step)].annotation
        else:
            # dict[str, Source] holds its model last, tuple[Rule, ...] first.
            current = next(a for a in reversed(get_args(current)) if a is not Ellipsis)
    return list(current.model_fields)
