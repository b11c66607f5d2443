"""Whom a rule's DM goes to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.instagram.typed_recipients import check_answer, typed_recipient
from service.templates.templates import Template, is_constant


class RecipientTemplate:
    """The compiled `to` of a rule.

    Parameters:
      source: The template.
      no_answers: The file's own answers that name nobody, folded.

    Raises:
      BadTemplate: It does not compile.
    """

    def __init__(self, source: str, no_answers: frozenset[str]) -> None:
        self._template = Template(source)
        self._is_constant = is_constant(source)
        self._no_answers = no_answers

    def resolve(self, variables: Mapping[str, Any]) -> str:
        """Return the recipient in normal form.

        Parameters:
          variables: Values of `event` and `object`.

        Raises:
          TemplateFailed: The template fails on the event.
          InvalidIdentifier: The result names nobody.
        """
        raw, values = self._template.render_values(variables)
        raw = raw.strip()
        if len(values) == 1 and values[0].strip() != raw:
            # `@{{ ... }}` and `instagram.com/{{ ... }}` would make a username of any answer.
            check_answer(values[0], self._no_answers)
        return typed_recipient(raw, bare_numbers=self._is_constant, no_answers=self._no_answers)
