"""The rate limits of an account: gaps and budgets for each kind of action.

Instagram publishes no limits. The defaults and ceilings are this project's judgement, based on the
settings of public bots and the advice of the client library. The ceilings are about 2.5 times the
defaults, and only `i_accept_the_risk` lifts them.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, ValidationInfo, field_validator

from service.config.strict_model import StrictModel

PaceKind = Literal["dm", "dm_new_thread", "comment", "lookup"]

PACE_KINDS: Final[tuple[PaceKind, ...]] = ("dm", "dm_new_thread", "comment", "lookup")


_Seconds = Annotated[float, Field(strict=True, ge=0, le=86_400, allow_inf_nan=False)]
_Count = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]


def _ordered(gap: tuple[float, float] | None) -> tuple[float, float] | None:
    if gap is not None and gap[0] > gap[1]:
        raise ValueError("the shortest gap comes first: [45, 120]")
    return gap


class Pace(StrictModel):
    """The rate limits of one kind of action.

    Parameters:
      gap_seconds: Shortest and longest gap between two actions of the kind.
      per_hour: Most actions in any hour.
      per_day: Most actions in any 24 hours.
    """

    gap_seconds: tuple[_Seconds, _Seconds]
    per_hour: _Count
    per_day: _Count

    _gap_is_ordered = field_validator("gap_seconds")(_ordered)

    def overridden(self, override: PaceOverride | None) -> Pace:
        """A copy in which the limits that one account sets for itself replace these."""
        if override is None:
            return self
        return self.model_copy(update=override.model_dump(exclude_none=True))


class PaceOverride(StrictModel):
    """The limits that one account sets for itself; None keeps the general one."""

    gap_seconds: tuple[_Seconds, _Seconds] | None = None
    per_hour: _Count | None = None
    per_day: _Count | None = None

    _gap_is_ordered = field_validator("gap_seconds")(_ordered)


def _pace(shortest: float, longest: float, per_hour: int, per_day: int) -> Pace:
    return Pace(gap_seconds=(shortest, longest), per_hour=per_hour, per_day=per_day)


DEFAULTS: Final[dict[PaceKind, Pace]] = {
    "dm": _pace(45, 120, per_hour=10, per_day=40),
    "dm_new_thread": _pace(120, 300, per_hour=4, per_day=15),
    "comment": _pace(60, 180, per_hour=6, per_day=30),
    "lookup": _pace(3, 6, per_hour=60, per_day=1_440),  # 24 times the hourly limit
}

#: The limits of an account in its first 14 days (`since`), unless its own are lower.
NEW_ACCOUNT: Final[dict[PaceKind, Pace]] = {
    "dm": _pace(45, 120, per_hour=3, per_day=8),
    "dm_new_thread": _pace(120, 300, per_hour=1, per_day=3),
    "comment": _pace(60, 180, per_hour=2, per_day=8),
    "lookup": _pace(3, 6, per_hour=20, per_day=480),
}

#: The shortest gaps and largest budgets without `i_accept_the_risk`; long gaps have no ceiling.
CEILINGS: Final[dict[PaceKind, Pace]] = {
    "dm": _pace(20, 86_400, per_hour=25, per_day=100),
    "dm_new_thread": _pace(60, 86_400, per_hour=10, per_day=40),
    "comment": _pace(25, 86_400, per_hour=15, per_day=75),
    "lookup": _pace(1, 86_400, per_hour=150, per_day=3_600),
}


class Pacing(StrictModel):
    """The rate limits of every account that has none of its own.

    Parameters:
      i_accept_the_risk: Lifts the ceilings.
      repeat_days: Days in which the same recipient and rule (or text) occur at most once; 0: off.
    """

    i_accept_the_risk: Annotated[bool, Field(strict=True)] = False
    repeat_days: Annotated[int, Field(strict=True, ge=0, le=365)] = 7
    dm: Pace = DEFAULTS["dm"]
    dm_new_thread: Pace = DEFAULTS["dm_new_thread"]
    comment: Pace = DEFAULTS["comment"]
    lookup: Pace = DEFAULTS["lookup"]

    @field_validator(*PACE_KINDS, mode="before")
    @classmethod
    def _complete(cls, given: Any, info: ValidationInfo) -> Any:
        if not isinstance(given, dict):
            return given
        # Keys that are left out keep their defaults; the field is named after the kind.
        default = cls.model_fields[info.field_name or ""].default
        return {**default.model_dump(), **given}

    def pace(self, kind: PaceKind) -> Pace:
        """The rate limits of one kind of action."""
        found: Pace = getattr(self, kind)
        return found

    def with_overrides(self, overrides: dict[PaceKind, PaceOverride]) -> Self:
        """A copy in which the limits that one account sets for itself replace these."""
        changed: dict[str, Pace] = {
            kind: self.pace(kind).overridden(own) for kind, own in overrides.items()
        }
        return self.model_copy(update=changed)


def over_ceiling(kind: PaceKind, key: str, value: Any) -> str | None:
    """Why a value needs `i_accept_the_risk`.

    Parameters:
      kind: Kind of action.
      key: `gap_seconds`, `per_hour` or `per_day`.
      value: As written in the file; the models report wrong types and unknown keys.

    Returns:
      The problem and its remedy, or None.
    """
    remedy = "or set pacing.i_accept_the_risk = true"
    ceiling = CEILINGS[kind]
    if key == "gap_seconds":
        shortest = ceiling.gap_seconds[0]
        if any(gap < shortest for gap in _numbers(value)):
            return f"a gap under {shortest:g} s risks the account; make it longer, {remedy}"
        return None
    limit: int | None = getattr(ceiling, key, None)
    if limit is not None and any(count > limit for count in _numbers([value])):
        return f"more than {limit} risks the account; lower it, {remedy}"
    return None


def _numbers(values: Any) -> list[float]:
    listed = values if isinstance(values, list) else []
    return [value for value in listed if isinstance(value, int | float)]
