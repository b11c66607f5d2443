"""Profiles, posts and rows whose fields are not those that the client's models expect.

Seen in instagrapi issues 71, 2286, 2288, 2356 and 2701: fields that are null, missing, of another
type, or new.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from deploy.local.instagram.http import Json

_Change: TypeAlias = Callable[[Json], Json]

_USER_ESSENTIALS: Final = frozenset({"pk", "pk_id", "id", "username"})
_POST_ESSENTIALS: Final = frozenset({"pk", "id", "code", "user"})


def _without(view: Json, *names: str) -> Json:
    return {name: value for name, value in view.items() if name not in names}


def _null_except(kept: frozenset[str]) -> _Change:
    return lambda view: {name: value if name in kept else None for name, value in view.items()}


def _only(kept: frozenset[str]) -> _Change:
    return lambda view: {name: value for name, value in view.items() if name in kept}


def _new_fields(view: Json) -> Json:
    """Known fields of other types, and some that no model knows."""
    changed = {
        name: str(value) if isinstance(value, int) and name.endswith("_count") else value
        for name, value in view.items()
    }
    return {
        **changed,
        "pronouns": [],
        "strong_id__": str(view["pk"]),
        "text_post_app_badge_label": {"label": None},
        "fbid_v2": 17841400000000000,
    }


def _as_it_is(view: Json) -> Json:
    return view


USER_SHAPES: Final[Mapping[str, _Change]] = {
    "usual": _as_it_is,
    "null_fields": _null_except(_USER_ESSENTIALS),
    "few_fields": _only(_USER_ESSENTIALS),
    "only_id": lambda view: _without(view, "pk", "pk_id"),
    "new_fields": _new_fields,
    "without_id": lambda view: _without(view, "pk", "pk_id", "id"),
}

POST_SHAPES: Final[Mapping[str, _Change]] = {
    "usual": _as_it_is,
    "null_fields": _null_except(_POST_ESSENTIALS),
    "few_fields": _only(_POST_ESSENTIALS),
    "only_id": lambda view: _without(view, "pk"),
    "new_fields": lambda view: {**_new_fields(view), "media_type": 99, "product_type": "nova"},
    "without_user": lambda view: _without(view, "user"),
    "null_user": lambda view: {**view, "user": None},
    "null_caption": lambda view: {**view, "caption": None},
}

_ROWS: Final[tuple[_Change, ...]] = (
    *USER_SHAPES.values(),
    lambda view: {**view, "pk": str(view["pk"]), "full_name": None},
    lambda view: {**view, "is_verified": None, "is_private": "false"},
)


def odd_row(row: Json, index: int) -> Json:
    """A row of a list, in one of several shapes by its index."""
    return _ROWS[index % len(_ROWS)](row)
