"""The events of the loads."""

from __future__ import annotations

from typing import Any

from deploy.local.sender import event


def paid_event(**changes: Any) -> dict[str, Any]:
    """The paid checkout of `make demo`, without the null members: about 2 KB.

    Parameters:
      changes: Top-level members to change.
    """
    return _compact(event("checkout.session.completed", **changes))


def unpaid_event() -> dict[str, Any]:
    """An event that matches no rule."""
    return _compact(event("checkout.session.completed.unpaid"))


def _compact(document: dict[str, Any]) -> dict[str, Any]:
    return {name: _without_nulls(value) for name, value in document.items()}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value
