"""Configured values that may be secret, and may live in the environment (`env:NAME`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

_PREFIX: Final = "env:"
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class MissingVariable(ValueError):
    """A reference names an environment variable that is unset or empty.

    Parameters:
      name: The variable.
      key: The dotted key in heliograph.toml that refers to it; empty if not known.
    """

    def __init__(self, name: str, key: str = "") -> None:
        where = f"{key}: " if key else ""
        super().__init__(f"{where}the environment variable {name} is not set, or is empty")
        self.name = name
        self.key = key


class SecretRef:
    """A literal, or a reference to an environment variable that is read only when needed.

    Parameters:
      raw: The literal, or `env:NAME`.

    Attributes:
      key: The dotted key it was configured under; set by `Config`, for error messages.

    Raises:
      ValueError: It is empty, or `env:` is not followed by the name of a variable.
    """

    __slots__ = ("_raw", "key")

    def __init__(self, raw: str) -> None:
        if not raw.strip():
            raise ValueError("must not be empty")
        if raw.startswith(_PREFIX) and not _VARIABLE.fullmatch(raw.removeprefix(_PREFIX)):
            raise ValueError("after 'env:' comes the name of a variable: letters, digits and '_'")
        self._raw = raw
        self.key = ""

    @property
    def variable(self) -> str | None:
        """Name of the environment variable; None for a literal."""
        return self._raw.removeprefix(_PREFIX) if self._raw.startswith(_PREFIX) else None

    @property
    def literal(self) -> str | None:
        """The literal; None for a reference."""
        return None if self.variable else self._raw

    def resolve(self, environ: Mapping[str, str]) -> str:
        """Look up the value.

        Parameters:
          environ: The environment that `env:NAME` refers to.

        Returns:
          The value, without the line break that files and shells tend to leave at the end.

        Raises:
          MissingVariable: The variable is unset or empty.
        """
        name = self.variable
        if name is None:
            return self._raw
        found = environ.get(name, "").rstrip("\r\n")
        if not found.strip():
            raise MissingVariable(name, self.key)
        return found

    def __repr__(self) -> str:
        return f"SecretRef({self._raw!r})" if self.variable else "SecretRef('***')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretRef) and self._raw == other._raw

    def __hash__(self) -> int:
        return hash(self._raw)

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: type[Any], _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls._validated)

    @classmethod
    def _validated(cls, given: object) -> SecretRef:
        if isinstance(given, SecretRef):
            return given
        if not isinstance(given, str):
            raise ValueError("must be text in quotes")
        return cls(given)
