"""The usual heliograph.toml of the suites: the local stack's, with what a test adds or changes."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from deploy.local.stack import CONFIG

Table = Mapping[str, Any]


def usual_config(
    *,
    accounts: Mapping[str, Table] | None = None,
    callbacks: Mapping[str, Table] | None = None,
    rules: Sequence[Table] = (),
    pacing: Table | None = None,
    base: Path = CONFIG,
) -> dict[str, Any]:
    """The local stack's configuration with more in it, as a document to change further.

    Parameters:
      accounts: Accounts beside `shop`, by name. Unless given, their username is their name, and
        their password and proxy are those of `shop`.
      callbacks: Callback endpoints beside `crm`, by name. Their secret is that of `crm`.
      rules: More rules; of `source = "stripe"` and `account = "shop"` unless given.
      pacing: `[pacing]` instead of the local stack's, which limits nothing.
      base: The file that is added to.
    """
    document = tomllib.loads(base.read_text())
    shop, crm = document["accounts"]["shop"], document["callbacks"]["crm"]
    for name, changes in (accounts or {}).items():
        document["accounts"][name] = {**shop, "username": name, **changes}
    for name, changes in (callbacks or {}).items():
        document["callbacks"][name] = {"secrets": crm["secrets"], **changes}
    document["rules"] += [{"source": "stripe", "account": "shop", **rule} for rule in rules]
    if pacing is not None:
        document["pacing"] = dict(pacing)
    return document


def write_config(path: Path, document: Table | None = None) -> Path:
    """Write a heliograph.toml.

    Parameters:
      path: The file.
      document: What it says; `usual_config()` where nothing is given.

    Returns:
      The path.
    """
    path.write_text(to_toml(usual_config() if document is None else document))
    return path


def to_toml(document: Table) -> str:
    """A document in TOML: tables, arrays of tables, and values that JSON has, too, or dates."""
    return "\n".join(_lines(document, ()))


def _lines(table: Table, path: tuple[str, ...]) -> list[str]:
    tables = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    arrays = {key: value for key, value in table.items() if _is_array_of_tables(value)}
    lines = [
        f"{json.dumps(key)} = {_value(value)}"
        for key, value in table.items()
        if key not in tables and key not in arrays
    ]
    for key, inner in tables.items():
        lines += [f"[{_dotted((*path, key))}]", *_lines(inner, (*path, key))]
    for key, items in arrays.items():
        for item in items:
            lines += [f"[[{_dotted((*path, key))}]]", *_lines(item, (*path, key))]
    return lines


def _is_array_of_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def _value(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else json.dumps(value)


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(map(json.dumps, path))
