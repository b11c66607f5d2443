"""The table `[recipients]` of heliograph.toml."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints, field_validator

from service.config.strict_model import StrictModel
from service.instagram.no_answers import fold


class Recipients(StrictModel):
    """What people type for a recipient.

    Parameters:
      no_answers: Words and phrases that name nobody, besides those that are built in.
    """

    no_answers: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=200)], ...], Field(max_length=1_000)
    ] = ()

    @field_validator("no_answers")
    @classmethod
    def _are_words(cls, answers: tuple[str, ...]) -> tuple[str, ...]:
        for answer in answers:
            if not fold(answer):
                raise ValueError("has an entry without a letter or digit; remove it")
        return answers

    @property
    def folded(self) -> frozenset[str]:
        """The words as `is_no_answer` compares them."""
        return frozenset(map(fold, self.no_answers))
