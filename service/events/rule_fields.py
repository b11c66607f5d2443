"""The fields of a job that a rule's templates give: rendered, checked, with the field in errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from service.jobs.model import Failure
from service.templates.templates import (
    ForeignLinkFound,
    OutputTooLong,
    Template,
    TemplateFailed,
)
from service.time_formats.durations import parse_duration_ms

T = TypeVar("T")


class FieldError(Exception):
    """A field of the job could not be resolved.

    Parameters:
      code: A stable code for programs.
      message: Begins with the field.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(code=code, message=message)


def optional_template(source: str | None) -> Template | None:
    """Compile a template; None if the rule has none."""
    return None if source is None else Template(source)


def render_or_empty(template: Template, variables: Mapping[str, Any]) -> str:
    """Render a field that an event need not have; empty if that fails."""
    try:
        return template.render(variables).strip()
    except TemplateFailed:
        return ""


def render(
    field: str,
    template: Template,
    variables: Mapping[str, Any],
    too_long: Failure | None = None,
) -> str:
    """Render a field, without white space around it.

    Parameters:
      field: Its name, for errors.
      template: The template.
      variables: Values of `event` and `object`.
      too_long: The failure if the text is too long; by default, that of any other template.

    Raises:
      FieldError: The template fails on the event.
    """
    try:
        return template.render(variables).strip()
    except TemplateFailed as error:
        if too_long is not None and isinstance(error, OutputTooLong):
            raise FieldError(too_long.code, too_long.message) from error
        code = "link_not_allowed" if isinstance(error, ForeignLinkFound) else "template_failed"
        raise FieldError(code, f"{field}: {error}") from error


def convert(field: str, code: str, read: Callable[[str], T], raw: str) -> T:
    """Read a rendered field; a ValueError of `read` becomes a FieldError with the code."""
    try:
        return read(raw)
    except ValueError as error:
        raise FieldError(code, f"{field}: {error}") from error


def duration(field: str, template: Template | None, variables: Mapping[str, Any]) -> int | None:
    """Render a duration; milliseconds, or None if the rule has none.

    Raises:
      FieldError: The template fails, or gives no duration.
    """
    if template is None:
        return None
    raw = render(field, template, variables)
    return convert(field, f"invalid_{field}", parse_duration_ms, raw)
