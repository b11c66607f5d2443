"""Who follows, blocks and restricts whom."""

from __future__ import annotations

from typing import Final, Literal

from deploy.local.instagram.users import User

Relation = Literal["follows", "blocks", "restricts"]
RELATIONS: Final[tuple[Relation, ...]] = ("follows", "blocks", "restricts")


class Relations:
    """Every relation of one user to another that a test has set."""

    def __init__(self) -> None:
        self._pairs: set[tuple[Relation, int, int]] = set()

    def set(self, relation: Relation, user: User, other: User, *, holds: bool) -> None:
        """Make a relation of `user` to `other` hold or not."""
        pair = (relation, user.pk, other.pk)
        if holds:
            self._pairs.add(pair)
        else:
            self._pairs.discard(pair)

    def holds(self, relation: Relation, user: User, other: User) -> bool:
        """Whether `user` follows, blocks or restricts `other`."""
        return (relation, user.pk, other.pk) in self._pairs
