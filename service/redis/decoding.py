"""Decodes replies of Redis."""

from __future__ import annotations

from collections.abc import Mapping


def decode_fields(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    """Decode the fields of a hash or of a stream entry."""
    return {name.decode(): value.decode() for name, value in fields.items()}
