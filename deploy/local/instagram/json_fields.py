"""Reads the fields of a control request; each error names the field and what it takes."""

from __future__ import annotations

from collections.abc import Collection

from deploy.local.instagram.http import Json


def required_text(body: Json, name: str) -> str:
    """A field that must be a non-empty string."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name}: must be a non-empty string")
    return value


def choice(body: Json, name: str, known: Collection[str], default: str | None = None) -> str:
    """A field that must be one of the known names."""
    value = body.get(name, default)
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name} {value!r}: use one of {', '.join(sorted(known))}")
    return value


def flag(body: Json, name: str, *, default: bool) -> bool:
    """A field that must be true or false."""
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise ValueError(f"{name}: must be true or false")
    return value


def reject_unknown(body: Json, known: Collection[str]) -> None:
    """Refuse fields that would have no effect."""
    unknown = sorted(set(body) - set(known))
    if unknown:
        raise ValueError(f"{unknown[0]}: unknown field; use some of {', '.join(sorted(known))}")
